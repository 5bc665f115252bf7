"""Each stage by itself: its values, and what every layer has to pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from keras_elmo import ElmoConfig, ScalarMix, batch_to_character_ids
from keras_elmo.layers import (
    Alignment,
    BidirectionalLM,
    CharacterIds,
    ElmoBiLM,
    MaskedMean,
    SentenceBoundaries,
    TokenEncoder,
    TokenMask,
)
from keras_elmo.layers.arrays import assign_arrays
from tests.layer_checks import check_layer
from tests.numpy_elmo import NumpyElmo, scalar_mix
from tests.tiny_models import TINY, random_arrays

pytestmark = pytest.mark.any_backend

TOKENS = [["the", "cat"], ["a"]]
IDS = batch_to_character_ids(TOKENS)
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(2, 6, 4)).astype(np.float32)
LAYERS = RNG.normal(size=(2, 4, 3, 5)).astype(np.float32)
MATRICES = RNG.normal(size=(3, 2, 5))  # (layers, outputs, inputs)

Case = tuple[keras.Layer, Any, Any]


def boundaries() -> Case:
    words = [["<S>", *TOKENS[0], "</S>"], ["<S>", "a", "x", "</S>"]]
    expected = batch_to_character_ids(words)
    expected[1, 2] = 0  # the end stands after the padding
    return SentenceBoundaries(), IDS, expected


def encoder(activation: str) -> Case:
    filters = ((1, 2), (3, 4))
    config = ElmoConfig(2, filters, n_highway=1, activation=activation, projection_dim=3)
    arrays = {n: a for n, a in random_arrays(config).items() if not n.startswith("RNN")}
    layer = TokenEncoder(3, config.filters, 2, n_highway=1, activation=activation)
    layer.build((None, None, 50))
    for variable, array in zip(layer.weights, arrays.values(), strict=True):
        variable.assign(array.reshape(variable.shape))
    reference = NumpyElmo(config, arrays)
    expected = [reference.token_vector(list(token.encode())) for token in TOKENS[0]]
    return layer, IDS[:1], [expected]


def both_directions() -> Case:
    layer = BidirectionalLM(2, 5, 4, use_skip_connections=True)
    return layer, VECTORS, None  # test_recurrence.py has the values


def bilm(depth: int | None) -> Case:
    layer = ElmoBiLM(TINY, depth)
    layer.build((None, None, 50))
    assign_arrays(layer, random_arrays(TINY))
    n_layers = 3 if depth is None else depth + 1
    expected = np.zeros((2, 2, n_layers, 16))
    reference = NumpyElmo(TINY, random_arrays(TINY))
    for row, tokens in enumerate(TOKENS):
        layers = reference.layers([t.encode() for t in tokens])[1:-1, :n_layers]
        expected[row, : len(tokens)] = layers
    return layer, IDS, expected


CASES = {
    "ids": lambda: (CharacterIds("character_ids"), IDS, IDS),
    "ids cut": lambda: (CharacterIds("character_ids", max_tokens=1), *[IDS[:, :1]] * 2),
    "mask": lambda: (TokenMask(), IDS, [[True, True], [True, False]]),
    "boundaries": boundaries,
    "encoder relu": lambda: encoder("relu"),
    "encoder tanh": lambda: encoder("tanh"),
    **{f"bilm {depth}": lambda d=depth: bilm(d) for depth in (0, 1, None)},
    "both directions": both_directions,
    "mix": lambda: (ScalarMix(), LAYERS, LAYERS.mean(axis=2)),
    "mix skewed": lambda: (
        ScalarMix(initial_weights=[0.7, -1.3, 2.1], initial_gamma=1.7),
        LAYERS,
        scalar_mix(LAYERS, [0.7, -1.3, 2.1], 1.7),
    ),
    "alignment": lambda: (Alignment(MATRICES[0]), LAYERS, LAYERS @ MATRICES[0].T),
    "alignment of each layer": lambda: (
        Alignment(list(MATRICES)),
        LAYERS,
        np.stack([LAYERS[:, :, i] @ MATRICES[i].T for i in range(3)], axis=2),
    ),
    "mean": lambda: (MaskedMean(), VECTORS, VECTORS.mean(axis=1)),
    "mean of layers": lambda: (MaskedMean(), LAYERS, LAYERS.mean(axis=1)),
}


@pytest.mark.parametrize("name", CASES)
def test_layer(name: str, tmp_path: Path) -> None:
    layer, inputs, expected = CASES[name]()
    check_layer(layer, inputs, tmp_path, expected)


def test_alignment_keeps_the_mask_and_trains_nothing() -> None:
    masked = keras.layers.Masking()(VECTORS * (np.arange(6) < 4)[:, None])
    layer = Alignment(np.eye(4)[::-1])
    aligned = layer(masked)
    mask = ops.convert_to_numpy(aligned._keras_mask)
    assert mask.tolist() == [[True] * 4 + [False] * 2] * 2
    assert not ops.convert_to_numpy(aligned)[~mask].any()
    assert layer.trainable_weights == []
    assert [weight.shape for weight in layer.weights] == [(4, 4)]


def test_alignment_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"matrix: expected .* got the shape \(4,\)"):
        Alignment(np.ones(4))
    for matrix in ("fr.pth", [np.eye(2), np.eye(3)]):
        with pytest.raises(ValueError, match=r"matrix: expected numbers .*reads files"):
            Alignment(matrix)
    for matrix, end in ((MATRICES[0], r"\(5,\)"), (MATRICES, r"\(3, 5\)")):
        with pytest.raises(ValueError, match=rf"ends in {end}; got \(2, 6, 4\)"):
            Alignment(matrix)(VECTORS)
