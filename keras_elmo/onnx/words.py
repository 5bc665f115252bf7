"""From character ids to the vectors of a batch's distinct words, in an ONNX graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_elmo.config import ElmoConfig
from keras_elmo.onnx.graph import INT64, Graph
from keras_elmo.onnx.matrices import Matrix
from keras_elmo.text.lexicon import TokenIds, boundary_ids
from keras_elmo.types import Arrays

BEGIN, END = 0, 1  # places of the boundaries among the distinct words


class Words(NamedTuple):
    """A batch's distinct words, the two boundaries first."""

    ids: str  # (words, length)
    places: str  # of each token, (batch, time)
    mask: str  # true at tokens, (batch, time)


def distinct_words(
    g: Graph, ids: str, form: TokenIds, max_tokens: int | None, n_steps: int | None
) -> Words:
    """Reads ids (batch, time, length) as the layer does; its limits have its names."""
    ids = g.Max(g.Cast(ids, to=INT64), 0)  # (batch, time, length)
    if max_tokens is not None:
        ids = _first_tokens(g, ids, max_tokens)
    if n_steps is not None:
        ids = g.Slice(ids, [0], [n_steps], [1])
    # The layer gives an empty batch a step of padding.
    missing = g.Max(g.Sub([n_steps or 1], _size(g, ids, 1)), [0])  # (1,)
    ids = g.Pad(ids, g.Concat([0, 0, 0, 0], missing, [0], axis=0))
    boundaries = boundary_ids(form.length, form.boundary_words)
    rows = g.Reshape(ids, [-1, form.length])  # (batch * time, length)
    rows = g.Concat(np.stack(boundaries).astype(np.int64), rows, axis=0)
    # In the order of their first occurrence.
    words, _, places, _ = g.Unique(rows, n_outputs=4, axis=0, sorted=0)
    places = g.Slice(places, [2], [np.iinfo(np.int64).max])  # (batch * time,)
    places = g.Reshape(places, g.Slice(g.Shape(ids), [0], [2]))  # (batch, time)
    return Words(words, places, _mask(g, ids))


def _mask(g: Graph, ids: str) -> str:
    return str(g.Greater(g.ReduceMax(ids, axes=[2], keepdims=0), 0))  # (batch, time)


def _size(g: Graph, x: str, axis: int) -> str:
    return str(g.Slice(g.Shape(x), [axis], [axis + 1]))  # (1,)


def _first_tokens(g: Graph, ids: str, max_tokens: int) -> str:
    """Keeps the first tokens of each sentence, and the steps up to the last of them."""
    mask = g.Cast(_mask(g, ids), to=INT64)  # (batch, time)
    counted = g.LessOrEqual(g.CumSum(mask, 1), max_tokens)  # (batch, time)
    kept = g.Mul(mask, g.Cast(counted, to=INT64))  # (batch, time)
    time = _size(g, ids, 1)  # (1,)
    steps = g.Range(1, g.Add(g.Squeeze(time), 1), 1)  # (time,)
    ends = g.Reshape(g.Mul(kept, steps), [-1])  # (batch * time,)
    end = g.ReduceMax(g.Concat(g.Min(time, [max_tokens]), ends, axis=0), axes=[0])  # (1,)
    return str(g.Slice(g.Mul(ids, g.Unsqueeze(kept, [2])), [0], end, [1]))


def token_vectors(
    g: Graph, words: str, config: ElmoConfig, arrays: Arrays, int8: bool
) -> str:
    """The vectors of words (words, length), (words, projection_dim)."""

    def product(x: str, name: str) -> str:
        matrix = Matrix(arrays[name.format("W")], int8)
        return matrix(g, x, arrays[name.format("b")])

    def looked_up(ids: str, name: str) -> str:
        table = arrays[name]  # (n, size), of the ids from 1 on
        return str(g.Gather(np.concatenate([np.zeros_like(table[:1]), table]), ids))

    features = []
    if config.word_dim:
        vectors = looked_up(g.Gather(words, 0, axis=1), "embedding")
        features.append(vectors)  # (words, word_dim)
        words = g.Slice(words, [1], [config.token_ids.length], [1])
    if config.filters:
        characters = looked_up(_cut(g, words, config), "char_embed")
        x = _convolved(g, characters, config, arrays)  # (words, n_filters)
        for i in range(config.n_highway):
            gate = g.Sigmoid(product(x, f"CNN_high_{i}/{{}}_carry"))
            transformed = g.Relu(product(x, f"CNN_high_{i}/{{}}_transform"))
            # The same as gate * transformed + (1 - gate) * x.
            x = g.Add(x, g.Mul(gate, g.Sub(transformed, x)))  # (words, n_filters)
        features.append(x)
    x = g.Concat(*features, axis=1)  # (words, word_dim + n_filters)
    if config.has_token_projection:
        x = product(x, "CNN_proj/{}_proj")  # (words, projection_dim)
    return str(x)


def _convolved(g: Graph, characters: str, config: ElmoConfig, arrays: Arrays) -> str:
    """What the filters find in characters (words, length, char_dim)."""
    characters = g.Transpose(characters, perm=[0, 2, 1])  # (words, char_dim, length)
    activation = {"relu": g.Relu, "tanh": g.Tanh}[config.activation]
    pieces = []
    for i in range(len(config.filters)):
        kernel = arrays[f"CNN/W_cnn_{i}"][0].transpose(2, 1, 0)  # (count, char_dim, width)
        windows = g.Conv(
            characters, np.ascontiguousarray(kernel)
        )  # (words, count, windows)
        highest = g.ReduceMax(windows, axes=[2], keepdims=0)  # (words, count)
        pieces.append(activation(g.Add(highest, arrays[f"CNN/b_cnn_{i}"])))
    return str(g.Concat(*pieces, axis=1))  # (words, n_filters)


def _cut(g: Graph, words: str, config: ElmoConfig) -> str:
    """Characters without the last windows that are alike: those of padding alone."""
    length = config.max_characters_per_token
    rest, most = g.Slice(words, [1], [length], [1]), g.Slice(words, [0], [length - 1], [1])
    changes = g.Cast(g.Not(g.Equal(rest, most)), to=INT64)  # (words, length - 1)
    places: Any = np.arange(1, length)  # (length - 1,)
    last = g.ReduceMax(g.Mul(changes, places), axes=[0, 1], keepdims=0)  # ()
    widest = max(width for width, _ in config.filters)
    return str(g.Slice(words, [0], g.Add(g.Reshape(last, [1]), [widest]), [1]))
