"""A layer as an ONNX file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from keras_elmo.config import ElmoConfig
from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.layers.arrays import collect_arrays
from keras_elmo.layers.output_modes import OUTPUTS
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.onnx.graph import BOOL, FLOAT, INT32, INT64, Graph
from keras_elmo.onnx.recurrence import layers_of, pack
from keras_elmo.onnx.words import distinct_words, token_vectors
from keras_elmo.types import OutputMode, PathLike, check_one_of
from keras_elmo.weights.atomic import replacing

_LARGEST_FILE = 2**31 - 2**24  # bytes


def export_onnx(
    layer: ElmoEmbeddingLayer | PathLike | ElmoConfig,
    path: PathLike,
    *,
    outputs: OutputMode | Sequence[OutputMode] | None = None,
    scalar_mix: ScalarMix | None = None,
    weights: Literal["float32", "int8"] = "float32",
    ids_dtype: Literal["int32", "int64"] = "int32",
) -> None:
    """draft"""
    import onnx

    import keras_elmo

    if not isinstance(layer, ElmoEmbeddingLayer):
        layer = ElmoEmbeddingLayer(layer, input_mode="character_ids")
    config = layer.config
    names = [layer.output_mode] if outputs is None else outputs
    names = [names] if isinstance(names, str) else list(names)
    mix = layer.scalar_mix if scalar_mix is None else scalar_mix
    int8 = weights == "int8"
    arrays = collect_arrays(layer.bilm)
    g = Graph()
    length = layer.max_characters_per_token
    words = distinct_words(g, "character_ids", length, layer.max_tokens, layer.n_steps)
    vectors = token_vectors(g, words.ids, config, arrays, int8)
    packing = pack(g, words.places, words.mask, layer.keep_sentence_boundaries)
    depth = max(OUTPUTS[n].depth(config.n_layers) for n in names)
    layers = layers_of(g, packing, vectors, config, arrays, depth, int8)
    found = {}
    for n in names:
        found[n] = output(g, n, layers, packing.mask, mix, config)
    if not all(OUTPUTS[n].pooled for n in names):
        found["mask"] = packing.mask
    infos = {}
    for n, v in found.items():
        g.nodes.append(onnx.helper.make_node("Identity", [v], [n]))
        if n == "mask":
            infos[n] = 9, ["batch", "steps"]
        else:
            infos[n] = 1, [x if x else "?" for x in OUTPUTS[n].shape("batch", "steps", config.n_layers, config.output_dim)]
    m = g.model({"character_ids": (6 if ids_dtype == "int32" else 7, ["batch", "time", length])}, infos, keras_elmo.__version__)
    with replacing(path) as written:
        onnx.save(m, str(written))


def output(g, name, layers, mask, mix, config):
    o = OUTPUTS[name]
    if o.layer is not None:
        x = layers[o.layer]
        return x if o.layer else g.Slice(x, [0], [config.projection_dim], [2])
    steps = g.Max(g.ReduceSum(g.Cast(mask, to=FLOAT), [1]), 1.0)
    def pooled(x):
        return g.Div(g.ReduceSum(x, [1], keepdims=0), steps)
    if not o.mixed:
        if o.pooled:
            layers = [pooled(x) for x in layers]
        ax = 1 if o.pooled else 2
        return g.Concat(*[g.Unsqueeze(x, [ax]) for x in layers], axis=ax)
    import keras
    w = keras.ops.convert_to_numpy(mix.layer_weights).astype(np.float64)
    e = np.exp(w - w.max())
    shares = float(keras.ops.convert_to_numpy(mix.gamma)) * e / e.sum()
    if o.pooled:
        layers = [pooled(x) for x in layers]
    total = g.Mul(layers[0], float(shares[0]))
    for x, s in zip(layers[1:], shares[1:]):
        total = g.Add(total, g.Mul(x, float(s)))
    return total
