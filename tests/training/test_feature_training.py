"""Heads that train on features: as good as through the layer, and joined to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import (
    ElmoEmbeddingLayer,
    MaskPadding,
    ScalarMix,
    compute_features,
    feature_dataset,
    join_head,
    text_dataset,
)
from keras_elmo.training.feature_datasets import _token_part
from tests.layer_checks import check_layer
from tests.tiny_models import TINY

RNG = np.random.default_rng(0)
TEXTS = [" ".join("abcdefgh"[:n]) for n in (3, 0, 2, 5, 1, 8, 6, 4, 7, 2, 3)]
LABELS = RNG.normal(size=len(TEXTS)).astype(np.float32)
ROWS = RNG.normal(size=(5, 3, 4)).astype(np.float32)
TOKENS = [ROWS[:2], ROWS[2:2], ROWS[2:]]
ORDER = {"batch_size": 4, "shuffle": True, "seed": 3}


def layers_of_one_model(*modes: Any) -> list[ElmoEmbeddingLayer]:
    layers = [ElmoEmbeddingLayer(TINY, mode) for mode in modes]
    for layer in layers[1:]:
        for variable, first in zip(layer.bilm.weights, layers[0].bilm.weights, strict=True):
            variable.assign(first)
    return layers


def trained(model: keras.Model, dataset: tf.data.Dataset) -> list[float]:
    model.compile(keras.optimizers.Adam(0.05), "mse")
    losses = model.fit(dataset, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    return losses


def check_equal(
    through: keras.Model, head: keras.Model, inputs: tuple[Any, Any], order: dict[str, Any]
) -> None:
    """Trains both from the same start, on the same texts in the same order."""
    for variable, first in zip(
        head.trainable_variables, through.trainable_variables, strict=True
    ):
        variable.assign(first)
    texts, features = inputs
    expected = trained(through, text_dataset(texts, LABELS, **order))
    found = trained(head, feature_dataset(features, LABELS, **order))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for variable, other in zip(
        head.trainable_variables, through.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(variable, other, atol=1e-5)


def check_joined(joined: keras.Model, through: keras.Model, folder: Path) -> None:
    texts = text_dataset(TEXTS, batch_size=4)
    found = joined.predict(texts, verbose=0)
    np.testing.assert_allclose(found, through.predict(texts, verbose=0), atol=1e-5)
    joined.save(folder / "joined.keras")
    loaded = keras.saving.load_model(folder / "joined.keras")
    np.testing.assert_allclose(loaded.predict(texts, verbose=0), found, atol=1e-7)


def test_pooled_features_train_the_same(tmp_path: Path) -> None:
    mixed, layer = layers_of_one_model("default", "pooled_layers")
    features = compute_features(layer, TEXTS, tmp_path / "a.npy", progress=False)
    text = keras.Input((), dtype="string")
    through = keras.Model(text, keras.layers.Dense(1)(mixed(text)))
    stored = keras.Input(features.shape[1:])
    head = keras.Model(stored, keras.layers.Dense(1)(ScalarMix()(stored)))
    check_equal(through, head, (TEXTS, features), ORDER)
    joined = join_head(layer, head)
    assert len(joined.trainable_variables) == 4
    check_joined(joined, through, tmp_path)


def test_token_features_train_the_same(tmp_path: Path) -> None:
    mixed, layer = layers_of_one_model("elmo", "layers")
    features = compute_features(layer, TEXTS, tmp_path / "a.npy", progress=False)
    text = keras.Input((), dtype="string")
    through = keras.Model(text, keras.layers.Dense(1)(keras.layers.LSTM(3)(mixed(text))))
    stored = keras.Input((None, *features.values.shape[1:]))
    x = keras.layers.LSTM(3)(ScalarMix()(MaskPadding()(stored)))
    head = keras.Model(stored, keras.layers.Dense(1)(x))
    order = {**ORDER, "token_budget": 16, "group_by_length": True}
    check_equal(through, head, (TEXTS, features), order)
    check_joined(join_head(layer, head), through, tmp_path)
    # The head finds the mask that the layer has.
    padded = _token_part(features)[0](np.arange(len(TEXTS)))
    mask = MaskPadding().compute_mask(padded)
    np.testing.assert_array_equal(mask, layer.compute_mask(TEXTS))


def test_a_head_without_a_mask_has_none_joined_either(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "layers")
    stored = keras.Input((None, 3, 16))
    head = keras.Sequential(
        [stored, ScalarMix(), keras.layers.LSTM(2), keras.layers.Dense(1)]
    )
    features = compute_features(layer, TEXTS, tmp_path / "a.npy", progress=False)
    padded = _token_part(features)[0](np.arange(len(TEXTS)))
    np.testing.assert_allclose(
        join_head(layer, head)(tf.constant(TEXTS)), head(padded), atol=1e-6
    )


def test_mask_padding(tmp_path: Path) -> None:
    features = np.array(_token_part(TOKENS)[0](np.arange(3)))
    features[2, 0, 1:] = 0  # some zeros are no padding
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


def test_dataset_of_tokens() -> None:
    dataset = feature_dataset(TOKENS, [0.5, 1.5, 2.5], batch_size=2)
    assert dataset.element_spec == (
        tf.TensorSpec((None, None, 3, 4), tf.float32),
        tf.TensorSpec((None,), tf.float64),
    )
    (first, labels), (second, _) = dataset.as_numpy_iterator()
    np.testing.assert_array_equal(first[0], ROWS[:2])
    np.testing.assert_array_equal(first[1], np.zeros((2, 3, 4)))
    np.testing.assert_array_equal(second[0], ROWS[2:])
    np.testing.assert_array_equal(labels, [0.5, 1.5])


def test_labels_of_tokens() -> None:
    labels = [[1, 2], [], np.array([3, 4, 5])]
    dataset = feature_dataset(TOKENS, token_labels=labels, batch_size=3)
    [(features, found)] = dataset.as_numpy_iterator()
    assert features.shape == (3, 3, 3, 4)
    np.testing.assert_array_equal(found, [[1, 2, 0], [0, 0, 0], [3, 4, 5]])


def test_dataset_of_pooled_features(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    memmap = np.load(tmp_path / "a.npy", mmap_mode="r")
    batches = list(feature_dataset(memmap, batch_size=4).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate(batches), ROWS)
    assert [len(batch) for batch in batches] == [4, 1]


@pytest.mark.parametrize("features", [ROWS, TOKENS])
def test_the_order_is_that_of_the_texts(features: Any) -> None:
    n = len(features)
    texts = text_dataset([str(i) for i in range(n)], batch_size=2, shuffle=True, seed=5)
    dataset = feature_dataset(features, range(n), batch_size=2, shuffle=True, seed=5)
    for _ in range(3):
        order = [int(text) for batch in texts.as_numpy_iterator() for text in batch]
        assert [i for _, batch in dataset.as_numpy_iterator() for i in batch] == order


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features": [1, 2]}, TypeError, r"features must be an array .*; got \[1, 2\] of"),
        ({"features": np.zeros(3)}, TypeError, "features must be an array"),
        ({"labels": [1]}, ValueError, "labels must be as many as texts, 3; got 1"),
        ({"labels": [1] * 3, "token_labels": []}, ValueError, "give one of them; got both"),
        ({"token_labels": [[1]]}, ValueError, "must be as many as texts, 3; got 1"),
        (
            {"token_labels": [[1, 2], [], [3]]},
            ValueError,
            "position 2 has 3 tokens; got 1 labels. The layer may have cut it",
        ),
        ({"token_labels": [1, 2, 3]}, ValueError, "position 0 has 2 tokens; got 0 labels"),
        ({"features": ROWS, "token_budget": 3}, ValueError, "token_budget is for token-l"),
        ({"features": ROWS, "group_by_length": True}, ValueError, "group_by_length is for"),
        ({"features": ROWS, "token_labels": []}, ValueError, "token_labels is for token"),
    ],
)
def test_dataset_refuses(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        feature_dataset(**{"features": TOKENS, **arguments})


def test_join_head_refuses() -> None:
    layer = ElmoEmbeddingLayer(TINY, "pooled_layers")
    head = keras.Sequential([keras.Input((3, 8)), ScalarMix()])
    with pytest.raises(ValueError, match=r"shape \(None, 3, 16\); it takes \(None, 3, 8\)"):
        join_head(layer, head)
    tokens = keras.Sequential([keras.Input((None, 3, 16)), ScalarMix()])
    with pytest.raises(ValueError, match=r"it takes \(None, None, 3, 16\)\. Is it for"):
        join_head(layer, tokens)
    a, b = keras.Input((3, 16)), keras.Input((3, 16))
    with pytest.raises(ValueError, match=r"it takes \(None, 3, 16\), \(None, 3, 16\)"):
        join_head(layer, keras.Model([a, b], a + b))
    with pytest.raises(TypeError, match=r"head must be a keras.Model; got <Dense"):
        join_head(layer, keras.layers.Dense(1))
    with pytest.raises(ValueError, match="or 'layers'; got 'default'"):
        join_head(ElmoEmbeddingLayer(TINY), head)


def test_a_head_that_is_not_built_yet() -> None:
    layer = ElmoEmbeddingLayer(TINY, "pooled_layers")
    joined = join_head(layer, keras.Sequential([ScalarMix(), keras.layers.Dense(1)]))
    assert joined(tf.constant(["a b", ""])).shape == (2, 1)
