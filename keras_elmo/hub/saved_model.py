"""Exports a layer as a SavedModel with the signatures of the TF1 Hub modules."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from keras_elmo import backends
from keras_elmo.errors import DiskFullError
from keras_elmo.layers import CharacterIds, MaskedMean
from keras_elmo.layers.inputs import declared
from keras_elmo.types import PathLike, Tensor
from keras_elmo.weights.atomic import replacing


def export_saved_model(layer: Any, path: PathLike) -> None:
    """Writes a TensorFlow SavedModel with the signatures of the TF1 Hub modules of ELMo.

    Code that calls ``module.signatures["default"]`` or ``["tokens"]`` of such a module
    works unchanged: names, shapes and dtypes are the same. Running the SavedModel needs
    only TensorFlow. It holds the layer's current weights, with fine-tuned weights and the
    mix, once.

    Signatures, where D is twice ``projection_dim``:

    - ``default``: ``text``, strings (batch,), split by the layer's ``split``.
    - ``tokens``: ``tokens``, strings (batch, time), and ``sequence_len``, int32 (batch,),
      the number of tokens in each row. The rest of a row is padding and is not read. The
      empty string is a word without characters.
    - ``serving_default``: from ``inputs`` in the layer's ``input_mode`` to ``output_0`` in
      its ``output_mode``.

    Outputs of the first two, in float32 unless noted, from one run of the language model:

    - ``word_emb`` (batch, time, D / 2), and ``lstm_outputs1``, ``lstm_outputs2`` (batch,
      time, D), one for each LSTM layer;
    - ``elmo`` (batch, time, D) and ``default`` (batch, D), its mean over tokens, gamma
      included, if the layer has a mix: ``output_mode`` ``"elmo"`` or ``"default"``;
    - ``sequence_len`` (batch,), int32.

    Padding and the vectors of empty sentences are zeros. The loaded object also has
    ``serve``, a function that computes the layer's output, as after ``model.export``.

    Args:
        layer: An :class:`~keras_elmo.ElmoEmbeddingLayer`.
        path: The directory to write. It must not exist, and its parent must. It appears
            when it is complete.

    Raises:
        ValueError: The backend is not TensorFlow; or the layer is ``stateful``, so that
            requests would depend on each other; or it runs a module's own graph
            (``engine="hub"``).
        FileExistsError: ``path`` exists.
        FileNotFoundError: The parent of ``path`` does not exist.
        OSError: The SavedModel cannot be written.
    """
    backends.needs_tensorflow(
        "export_saved_model writes a TensorFlow graph and",
        "Use model.export with a model that takes character ids.",
    )
    target = Path.cwd() / path  # which has a parent
    if os.path.lexists(target):
        raise FileExistsError(f"path: {str(path)!r} exists. Choose another path.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path: there is no directory {str(target.parent)!r}. Create it first."
        )
    module = servable(layer)
    with replacing(target) as written:
        write_servable(module, written)


def servable(layer: Any) -> Any:
    """The ``tf.Module`` that :func:`export_saved_model` writes."""
    import tensorflow as tf

    if layer.stateful:
        raise ValueError(
            f"layer: with stateful={layer.stateful!r} it carries state from request to "
            "request. Create one with stateful=False and the same weights."
        )
    if layer.engine == "hub":
        raise ValueError(
            "layer: with engine='hub' it runs a module's own graph, which already has "
            "these signatures. Use engine='native', or model.export for a single endpoint."
        )
    splitting = CharacterIds("sentences", max_tokens=layer.max_tokens, split=layer.split)
    pooling = MaskedMean(dtype="float32")

    def function(*inputs: Any) -> Callable[[Any], Any]:
        return partial(tf.function, input_signature=inputs, autograph=False)

    any_tokens = tf.TensorSpec((None, None), tf.string, "tokens")

    # A separate function, so that both signatures call the same graph.
    @function(any_tokens, tf.TensorSpec((None, None), tf.bool, "mask"))
    def outputs(tokens: Tensor, mask: Tensor) -> dict[str, Tensor]:
        # (batch, time, depth + 1, D), zeros at padding
        layers = layer.layers_of_tokens(tokens, mask)
        if layer.keep_sentence_boundaries:  # these signatures have none
            layers = layers[:, 1:-1] * tf.cast(mask, layers.dtype)[..., None, None]
        found = {"word_emb": layers[:, :, 0, : layer.output_dim // 2]}
        for k in range(1, layers.shape[2]):
            found[f"lstm_outputs{k}"] = layers[:, :, k]  # (batch, time, D)
        if layer.scalar_mix is not None:
            found["elmo"] = layer.scalar_mix(layers)  # (batch, time, D)
            found["default"] = pooling(found["elmo"], mask=mask)  # (batch, D)
        found = {name: tf.cast(output, tf.float32) for name, output in found.items()}
        return {**found, "sequence_len": tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)}

    @function(tf.TensorSpec((None,), tf.string, "text"))
    def default(text: Tensor) -> dict[str, Tensor]:
        tokens = layer.with_length(splitting.tokens(text))  # (batch, time)
        return outputs(tokens, tokens != "")

    @function(any_tokens, tf.TensorSpec((None,), tf.int32, "sequence_len"))
    def tokens(tokens: Tensor, sequence_len: Tensor) -> dict[str, Tensor]:
        tf.debugging.assert_equal(
            tf.shape(sequence_len)[0],
            tf.shape(tokens)[0],
            "sequence_len must hold one length for each row of tokens",
        )
        tokens = layer.with_length(tokens[:, : layer.max_tokens])  # (batch, time)
        return outputs(tokens, tf.sequence_mask(sequence_len, tf.shape(tokens)[1]))

    module = tf.Module()
    module.default, module.tokens = default, tokens
    module.serve = function(_inputs(layer))(lambda x: layer(x))
    # Signatures need a name for each output.
    module.serving_default = function(_inputs(layer))(
        lambda inputs: {"output_0": module.serve(inputs)}
    )
    module.vocabulary = layer.vocabulary_cache.table
    return module


def write_servable(module: Any, path: Path) -> None:
    """Writes the result of :func:`servable` to a directory; raises ``OSError``."""
    import tensorflow as tf

    signatures = {
        name: getattr(module, name).get_concrete_function()
        for name in ("default", "tokens", "serving_default")
    }
    # The variables of all signatures, each once.
    variables = {id(v): v for each in signatures.values() for v in each.variables}
    module.weights = list(variables.values())
    try:
        tf.saved_model.save(module, str(path), signatures)
    except tf.errors.OpError as error:
        is_full = isinstance(error, tf.errors.ResourceExhaustedError)
        raise (DiskFullError if is_full else OSError)(
            f"Cannot write the SavedModel: {error.message}"
        ) from error


def _inputs(layer: Any) -> Any:
    """The layer's input spec for batches of any size."""
    import tensorflow as tf

    shape, dtype = declared(layer.input_mode, layer.character_ids.token_ids.length)
    return tf.TensorSpec((None, *shape), dtype, "inputs")
