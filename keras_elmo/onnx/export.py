"""A layer as an ONNX file."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
import numpy as np

import keras_elmo
from keras_elmo.config import ElmoConfig
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.layers.arrays import collect_arrays
from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.onnx.graph import BOOL, FLOAT, INT32, INT64, Graph
from keras_elmo.onnx.outputs import Mix, output
from keras_elmo.onnx.packing import pack
from keras_elmo.onnx.recurrence import layers_of
from keras_elmo.onnx.words import distinct_words, token_vectors
from keras_elmo.types import OutputMode, PathLike, check_one_of
from keras_elmo.weights.atomic import replacing

_LARGEST = 2**31 - 2**24  # bytes of weights that fit into a file

INPUT, MASK = "character_ids", "mask"


def export_onnx(
    source: ElmoEmbeddingLayer | PathLike | ElmoConfig,
    path: PathLike,
    *,
    outputs: OutputMode | Sequence[OutputMode] | None = None,
    scalar_mix: ScalarMix | None = None,
    weights: Literal["float32", "int8"] = "float32",
    ids_dtype: Literal["int32", "int64"] = "int32",
) -> None:
    """Writes an ONNX file that computes what a layer computes, from character ids.

    ONNX Runtime runs it without TensorFlow and Keras. The graph is written for it: each
    distinct word is encoded once, no step works on padding, and matrices are constants,
    which ONNX Runtime packs when it loads the file. Needs ``pip install
    "keras-elmo[onnx]"``; works on every backend of Keras.

    The input is ``character_ids`` (batch, time, ids of a token), 0 being padding, which may
    be anywhere; see :meth:`ElmoConfig.batch_to_ids`. Batch and time may have any size. The
    outputs have the names of the output modes. Weights and outputs are float32, whatever
    the layer's ``dtype`` is. If an output has a time axis, there is ``mask`` too, booleans
    (batch, time).

    The weights are the layer's as they are now, fine-tuned ones and the mix included, and
    so are its ``max_tokens``, ``output_sequence_length`` and ``keep_sentence_boundaries``.
    Splitting of strings is not part of the graph.

    Args:
        source: An :class:`~keras_elmo.ElmoEmbeddingLayer`, or its ``source``.
        path: The file to write, which is replaced if it exists.
        outputs: One or several output modes, all from one run of the language model;
            ``None`` for the layer's own.
        scalar_mix: A built :class:`~keras_elmo.ScalarMix` for the outputs ``"elmo"`` and
            ``"default"``, for example one that was trained on stored features. ``None`` for
            the layer's own. With ``layer_norm=True`` vectors depend on the batch, and only
            ``"elmo"`` can be written: ``"default"`` could normalize tokens or their means.
        weights: ``"float32"``, or ``"int8"`` for a file of a quarter of the size, which
            runs faster and is less exact: the matrices of LSTMs, highway layers and
            projections have 7 bits, with a scale for each column.
        ids_dtype: The type of ``character_ids``.

    Raises:
        ImportError: The package ``onnx`` is not installed.
        ValueError: The layer is ``stateful`` or runs a module's own graph
            (``engine="hub"``); it does not have what an output needs; an argument is out of
            its range; or the file would exceed 2 GB.
        SourceError: The weights could not be loaded from ``source``.
        OSError: The file cannot be written.

    Example:
        >>> import keras_elmo
        >>> keras_elmo.export_onnx("mini", "mini.onnx", outputs=["default", "elmo"])
    """
    if importlib.util.find_spec("onnx") is None:
        raise ImportError(
            "export_onnx needs the package onnx, which is not installed. Install it: pip "
            "install 'keras-elmo[onnx]'."
        )
    import onnx

    check_one_of("weights", weights, ("float32", "int8"))
    check_one_of("ids_dtype", ids_dtype, ("int32", "int64"))
    layer = source
    if not isinstance(layer, ElmoEmbeddingLayer):
        layer = ElmoEmbeddingLayer(layer, input_mode="character_ids")
    mix = layer.scalar_mix if scalar_mix is None else scalar_mix
    modes = _checked_modes(layer, outputs, mix)
    numbers = _numbers(mix, layer.n_layers + 1)
    arrays = {
        name: array.astype(np.float32, copy=False)
        for name, array in collect_arrays(layer.bilm).items()
    }
    n_bytes = sum(array.nbytes for array in arrays.values())
    if n_bytes > _LARGEST * (4 if weights == "int8" else 1):
        raise ValueError(
            f"An ONNX file has at most 2 GB; the weights of this model take "
            f"{n_bytes / 1e9:.1f} GB. Use weights='int8', which takes a quarter."
        )
    config, is_int8 = layer.bilm.config, weights == "int8"
    g = Graph()
    words = distinct_words(g, INPUT, config.token_ids, layer.max_tokens, layer.n_steps)
    vectors = token_vectors(g, words.ids, config, arrays, is_int8)
    packing = pack(g, words.places, words.mask, layer.keep_sentence_boundaries)
    depth = max(OUTPUTS[mode].depth(config.n_layers) for mode in modes)
    layers = layers_of(g, packing, vectors, config, arrays, depth, is_int8)
    n, dim = config.n_layers, config.output_dim
    types: dict[str, tuple[int, list[Any]]] = {}
    for mode in modes:
        g.name(output(g, mode, layers, packing.mask, numbers), mode)
        shape = OUTPUTS[mode].shape(None, None, n, dim)
        axes = ("batch", "steps", "", "")
        types[mode] = FLOAT, [a or b for a, b in zip(shape, axes, strict=False)]
    if not all(OUTPUTS[mode].pooled for mode in modes):
        g.name(packing.mask, MASK)
        types[MASK] = BOOL, ["batch", "steps"]
    kind = {"int32": INT32, "int64": INT64}[ids_dtype]
    ids = kind, ["batch", "time", config.token_ids.length]
    model = g.model({INPUT: ids}, types, keras_elmo.__version__)
    with replacing(path) as written:
        onnx.save_model(model, str(written))


def _checked_modes(
    layer: ElmoEmbeddingLayer, outputs: Any, mix: ScalarMix | None
) -> list[OutputMode]:
    """The outputs' names, or a ``ValueError`` if the layer does not have one."""
    if layer.stateful:
        raise ValueError(
            f"source: with stateful={layer.stateful!r} the layer carries its state from "
            "batch to batch. Make one with stateful=False and the same weights."
        )
    if layer.engine == "hub":
        raise ValueError(
            "source: with engine='hub' the layer runs a module's own TensorFlow graph. Use "
            "engine='native'."
        )
    outputs = layer.output_mode if outputs is None else outputs
    names: list[Any] = [outputs] if isinstance(outputs, str) else [*dict.fromkeys(outputs)]
    modes = [check_one_of("outputs", name, get_args(OutputMode)) for name in names]
    if not modes:
        raise ValueError("outputs must name at least one output mode; got none.")
    for mode in modes:
        stages = OUTPUTS[mode]
        depth = stages.depth(layer.n_layers)
        if depth > layer.bilm.depth:
            raise ValueError(
                f"outputs: {mode!r} needs {depth} LSTM layers; the layer has "
                f"{layer.bilm.depth}, for output_mode={layer.output_mode!r}. Use a layer "
                "with output_mode='elmo'."
            )
        if stages.mixed and mix is None:
            raise ValueError(
                f"outputs: {mode!r} needs a scalar mix, which a layer with "
                f"output_mode={layer.output_mode!r} does not have. Pass scalar_mix=, or "
                "use a layer with output_mode='elmo'."
            )
        if stages.mixed and stages.pooled and mix is not None and mix.layer_norm:
            raise ValueError(
                f"outputs: {mode!r} cannot be written for a mix with layer_norm=True, "
                "because normalizing tokens and normalizing their means give different "
                "vectors. Use 'elmo' and take the mean, or 'pooled_layers' and mix them."
            )
        if stages.pooled and layer.keep_sentence_boundaries:
            raise ValueError(
                f"outputs: {mode!r} is a mean over tokens; the layer has "
                "keep_sentence_boundaries=True. Leave one of the two out."
            )
    return modes


def _numbers(mix: ScalarMix | None, n_mixed: int) -> Mix | None:
    if mix is None:
        return None
    n_found = mix.layer_weights.shape[0] if mix.built else 0
    if n_found != n_mixed:
        found = f"for {n_found}" if mix.built else "that is not built"
        raise ValueError(
            f"scalar_mix must be built for {n_mixed} layers; got one {found}. Call it on "
            "the layer's 'layers' or 'pooled_layers' first."
        )
    to_numpy = keras.ops.convert_to_numpy
    exponents = to_numpy(mix.layer_weights).astype(np.float64)  # (n_layers + 1,)
    shares = np.exp(exponents - exponents.max())  # (n_layers + 1,)
    weights = float(to_numpy(mix.gamma)) * shares / shares.sum()
    return Mix(weights.tolist(), mix.layer_norm)
