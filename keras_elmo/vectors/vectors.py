"""Which vectors of a sentence are kept, and the layer that computes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np

from keras_elmo import backends
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.layers import ElmoBiLM, ScalarMix
from keras_elmo.types import OutputMode, PathLike, Tensor, check_one_of, check_true_or_false
from keras_elmo.weights.archive import DAMAGED

Layers = Literal["all", "top", "average", "mix"]
"""What is kept of the layers."""


@dataclasses.dataclass(frozen=True)
class Vectors:
    """What is kept of each sentence.

    Attributes:
        layers: ``"all"`` of them, the ``"top"`` one, their ``"average"``, or the trained
            ``"mix"``.
        pooled: Whether the mean over the tokens is kept, rather than each token's.

    Raises:
        ValueError: An attribute is out of its range.
    """

    layers: Layers = "all"
    pooled: bool = False

    def __post_init__(self) -> None:
        check_one_of("layers", self.layers, get_args(Layers))
        check_true_or_false("pooled", self.pooled)

    @property
    def output_mode(self) -> OutputMode:
        """The output mode of the layer that they are computed from."""
        if self.layers == "mix":
            return "default" if self.pooled else "elmo"
        return "pooled_layers" if self.pooled else "layers"

    def token_shape(self, layer: ElmoEmbeddingLayer) -> tuple[int, ...]:
        """The shape of what is kept of one token, or of a pooled sentence."""
        if self.layers == "all":
            return (layer.n_layers + 1, layer.output_dim)
        return (layer.output_dim,)

    def of_outputs(self, outputs: Tensor) -> Tensor:
        """Reduces the layers.

        Args:
            outputs: Of a layer with this ``output_mode``: (batch, [time,] n_layers + 1, D),
                or with the mix (batch, [time,] D).

        Returns:
            (batch, [time,] *token_shape).
        """
        if self.layers == "top":
            return outputs[..., -1, :]  # (batch, [time,] D)
        if self.layers == "average":
            return keras.ops.mean(outputs, axis=-2)  # (batch, [time,] D)
        return outputs


def embedding_layer(source: Any, vectors: Vectors) -> ElmoEmbeddingLayer:
    """The layer that computes some vectors.

    Args:
        source: What :class:`~keras_elmo.ElmoEmbeddingLayer` takes as ``source``, such a
            layer, or the path of a ``.keras`` file of a model with one in it.
        vectors: What it is to compute.

    Returns:
        A layer from sentences to outputs of ``vectors.output_mode``.

    Raises:
        ValueError: The source has no trained mix, or not one layer; or the layer does not
            hold what is asked for; or the backend of Keras is not TensorFlow.
        SourceError: The source cannot be had.
    """
    backends.needs_tensorflow(
        "Embedding a corpus",
        "Compute its vectors by layer.predict on character ids.",
    )
    if isinstance(source, (str, Path)) and Path(source).suffix == ".keras":
        source = _layer_of_model(source)
    if isinstance(source, ElmoEmbeddingLayer):
        return _with_output_mode(source, vectors)
    layer = ElmoEmbeddingLayer(source, vectors.output_mode, trainable=False)
    if layer.scalar_mix is not None and not _is_trained(layer.scalar_mix):
        raise ValueError(
            f"layers: the source {str(source)!r} has no mix, or one that was not trained. "
            "Name a saved model with one (.keras) or a TF1 Hub module, or use 'average', "
            "which an untrained mix is."
        )
    return layer


def _is_trained(mix: ScalarMix) -> bool:
    """Whether the mix is another than that which every layer starts with."""
    weights = [np.asarray(w) for w in mix.get_weights()]
    fresh = [np.zeros_like(weights[0]), np.ones_like(weights[1])]
    return not all(map(np.array_equal, weights, fresh))


def _layer_of_model(path: PathLike) -> ElmoEmbeddingLayer:
    if not Path(path).is_file():
        raise ValueError(f"source: there is no file {str(path)!r}.")
    try:
        # In safe mode, which is Keras' default: no code comes out of the file.
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    # Keras and h5py raise any of these, depending on where the damage lies.
    except (*DAMAGED, AttributeError, ImportError, LookupError, TypeError) as error:
        raise ValueError(
            f"source: cannot load the model {str(path)!r} ({error!s:.500}). Is it "
            "complete, and of a Keras version no newer than this one?"
        ) from error
    found = {id(layer): layer for layer in _elmo_layers(model)}
    if len(found) != 1:
        raise ValueError(
            f"source: the model {str(path)!r} has {len(found)} ElmoEmbeddingLayers; it "
            "must have one. Load it, and give the layer itself."
        )
    (layer,) = found.values()
    return layer


def _elmo_layers(layer: keras.Layer) -> Iterator[ElmoEmbeddingLayer]:
    """Those in a model, in models within it, and in its wrappers."""
    if isinstance(layer, ElmoEmbeddingLayer):
        yield layer
        return
    for inner in [*getattr(layer, "layers", []), getattr(layer, "layer", None)]:
        if inner is not None:
            yield from _elmo_layers(inner)


def _with_output_mode(layer: ElmoEmbeddingLayer, vectors: Vectors) -> ElmoEmbeddingLayer:
    mode = vectors.output_mode
    if layer.output_mode == mode and layer.input_mode == "sentences" and not layer.stateful:
        return layer
    bilm = layer.bilm
    if not isinstance(bilm, ElmoBiLM):
        raise ValueError(
            "source: a layer with engine='hub' must have the output mode that is asked "
            f"for, {mode!r}, and input_mode='sentences'; got {layer.output_mode!r} and "
            f"{layer.input_mode!r}."
        )
    if bilm.depth < bilm.config.n_layers:
        raise ValueError(
            f"source: the layer's output_mode={layer.output_mode!r} needs only some of the "
            "model's layers, and it holds no others. Use the model that it was made from."
        )
    if layer.scalar_mix is None and vectors.layers == "mix":
        raise ValueError(
            "layers: 'mix' needs a layer with a mix (output_mode 'default' or 'elmo'); got "
            f"one with output_mode={layer.output_mode!r}."
        )
    config = {**layer.get_config(), "output_mode": mode, "input_mode": "sentences"}
    result = ElmoEmbeddingLayer.from_config(
        {**config, "stateful": False, "fine_tune": "aggregation", "trainable": False}
    )
    result.bilm.set_weights(bilm.get_weights())
    if result.scalar_mix is not None and layer.scalar_mix is not None:
        result.scalar_mix.set_weights(layer.scalar_mix.get_weights())
    return result
