"""Heads that train on features: the same steps as through the layer, and joined to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, text_dataset
from keras_elmo.training import MaskPadding, feature_dataset, join_head
from tests.any_backend import INPUT_MODES, fed, to_numpy
from tests.layer_checks import check_layer
from tests.tiny_models import LEAST

RNG = np.random.default_rng(0)
TEXTS = [" ".join("abcdefgh"[:n]) for n in (3, 0, 2, 5, 1, 8, 6, 4, 7, 2, 3)]
LENGTHS = [len(text.split()) for text in TEXTS]
LABELS = RNG.normal(size=len(TEXTS)).astype(np.float32)


def layers_of_one_model(*modes: Any) -> list[ElmoEmbeddingLayer]:
    layers = [ElmoEmbeddingLayer(LEAST, mode) for mode in modes]
    for layer in layers[1:]:
        for variable, first in zip(layer.bilm.weights, layers[0].bilm.weights, strict=True):
            variable.assign(first)
    return layers


def trained(model: keras.Model, dataset: tf.data.Dataset) -> list[float]:
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(dataset, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    return losses


@pytest.mark.parametrize("level", ["texts", pytest.param("tokens", marks=pytest.mark.slow)])
def test_a_head_trains_as_through_the_layer(level: str, tmp_path: Path) -> None:
    text = keras.Input((), dtype="string")
    order = {"batch_size": 4, "shuffle": True, "seed": 3}
    if level == "texts":
        mixed, layer = layers_of_one_model("default", "pooled_layers")
        features = np.asarray(layer(TEXTS))  # (n, 2, 16)
        stored = keras.Input((2, 16))
        vectors, x = mixed(text), ScalarMix()(stored)
    else:
        mixed, layer = layers_of_one_model("elmo", "layers")
        padded = np.asarray(layer(TEXTS))  # (n, time, 2, 16)
        features = [rows[:n] for rows, n in zip(padded, LENGTHS, strict=True)]
        stored = keras.Input((None, 2, 16))
        order |= {"token_budget": 16, "group_by_length": True}
        vectors = keras.layers.LSTM(3)(mixed(text))
        x = keras.layers.LSTM(3)(ScalarMix()(MaskPadding()(stored)))
        # The head finds the mask that the layer has.
        mask = MaskPadding().compute_mask(padded)
        np.testing.assert_array_equal(mask, layer.compute_mask(TEXTS))
    through = keras.Model(text, keras.layers.Dense(1)(vectors))
    head = keras.Model(stored, keras.layers.Dense(1)(x))
    pairs = list(zip(head.trainable_weights, through.trainable_weights, strict=True))
    for variable, first in pairs:
        variable.assign(first)
    expected = trained(through, text_dataset(TEXTS, LABELS, **order))
    found = trained(head, feature_dataset(features, LABELS, **order))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for variable, other in pairs:
        np.testing.assert_allclose(variable, other, atol=1e-5)

    joined = join_head(layer, head)
    assert len(joined.trainable_variables) == len(pairs)
    texts = tf.constant(TEXTS)
    found = joined(texts)
    np.testing.assert_allclose(found, through(texts), atol=1e-5)
    joined.save(tmp_path / "joined.keras")
    loaded = keras.saving.load_model(tmp_path / "joined.keras")
    np.testing.assert_allclose(loaded(texts), found, atol=1e-6)


def test_a_head_without_a_mask_and_one_of_another_layer() -> None:
    layer = ElmoEmbeddingLayer(LEAST, "layers")
    head = keras.Sequential([keras.Input((None, 2, 16)), ScalarMix(), keras.layers.LSTM(2)])
    found = join_head(layer, head)(tf.constant(TEXTS))
    np.testing.assert_allclose(found, head(np.asarray(layer(TEXTS))), atol=1e-6)
    layer = ElmoEmbeddingLayer(LEAST, "pooled_layers")
    for shape in ((2, 8), (None, 2, 16)):
        head = keras.Sequential([keras.Input(shape), ScalarMix()])
        with pytest.raises(ValueError, match=r"(?i)(expected shape|incompatible)"):
            join_head(layer, head)
    # One that is not built yet takes what comes.
    joined = join_head(layer, keras.Sequential([ScalarMix(), keras.layers.Dense(1)]))
    assert joined(tf.constant(["a b", ""])).shape == (2, 1)


@pytest.mark.any_backend
@pytest.mark.parametrize("input_mode", INPUT_MODES)
def test_a_joined_model_takes_what_the_layer_takes(input_mode: str) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "layers", input_mode)
    head = keras.Sequential([keras.Input((None, 2, 16)), ScalarMix()])
    inputs = fed([["a", "b"], ["c", ""]], input_mode)
    found, expected = (to_numpy(m(inputs)) for m in (join_head(layer, head), layer))
    np.testing.assert_allclose(found, expected.mean(axis=2), atol=1e-6)


def test_mask_padding(tmp_path: Path) -> None:
    features = RNG.normal(size=(3, 3, 3, 4)).astype(np.float32)
    features[0, 2] = features[1] = 0
    features[2, 0, 1:] = 0  # some zeros are not padding
    mask = [[True, True, False], [False] * 3, [True, True, True]]
    layer = MaskPadding()
    np.testing.assert_array_equal(layer.compute_mask(features), mask)
    np.testing.assert_array_equal(
        check_layer(layer, tf.constant(features), tmp_path), features
    )
    # Not the mask that came with them.
    wrong = tf.constant([[True] * 3] * 3)
    np.testing.assert_array_equal(layer.compute_mask(features, wrong), mask)
    with pytest.raises(ValueError, match=r"features must be of shape .*; got \(2, 3\)"):
        MaskPadding()(np.zeros((2, 3)))
