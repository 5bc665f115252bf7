"""The recurrence without padding against the one that masks it."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.layers import BidirectionalLM, packed_lstm
from keras_elmo.layers.packing import pack
from tests.tiny_models import TINY

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(7, 4)).astype(np.float32)  # the last is the end of sentence
BEGIN, END = 0, 6
SENTENCES = [[1, 2, 3, 2, 1], [], [4], [5, 5, 4]]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "skip"])
def bilm(request: pytest.FixtureRequest) -> BidirectionalLM:
    keras.utils.set_random_seed(0)
    layer = BidirectionalLM(
        2,
        5,
        4,
        cell_clip=0.5,
        projection_clip=0.4,
        use_skip_connections=request.param,
        kernel_initializer="normal",
    )
    layer.build((None, None, 4))
    return layer


@pytest.fixture(params=[1, 4, 1000], ids="{} rows at once".format)
def rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_lstm, "_ROWS_AT_ONCE", request.param)
    monkeypatch.setattr(packed_lstm, "_WORDS_AT_ONCE", request.param)


def batch(sentences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Places (batch, time) and their mask."""
    time = max(map(len, sentences), default=1) or 1
    places = np.zeros((len(sentences), time), np.int32)
    mask = np.zeros((len(sentences), time), bool)
    for row, sentence in enumerate(sentences):
        places[row, : len(sentence)] = sentence
        mask[row, : len(sentence)] = True
    return places, mask


def masked(bilm: BidirectionalLM, vectors: tf.Tensor, places: np.ndarray, mask: np.ndarray):
    bounded = np.pad(places, [(0, 0), (1, 1)], constant_values=[(0, 0), (BEGIN, END)])
    all_true = np.pad(mask, [(0, 0), (1, 1)], constant_values=True)
    return bilm(tf.gather(vectors, bounded), mask=all_true)


def packed(
    bilm: BidirectionalLM,
    vectors: tf.Tensor,
    places: np.ndarray,
    mask: np.ndarray,
    differentiable: bool,
) -> tf.Tensor:
    packing = pack(tf.constant(places), tf.constant(mask), BEGIN, END)
    return bilm.run_packed(vectors, packing, differentiable)


@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize("differentiable", [False, True])
def test_layers(bilm: BidirectionalLM, differentiable: bool) -> None:
    places, mask = batch(SENTENCES)
    expected = masked(bilm, VECTORS, places, mask)
    result = packed(bilm, tf.constant(VECTORS), places, mask, differentiable)
    assert np.abs(expected).max() > 0.3  # the clips have something to do
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert not result.numpy()[~mask].any()


@pytest.mark.parametrize("rows_at_once", [4], indirect=True)
@pytest.mark.parametrize(
    ("differentiable", "in_graph"), [(True, True), (True, False), (False, True)]
)
@pytest.mark.usefixtures("rows_at_once")
def test_gradients(bilm: BidirectionalLM, differentiable: bool, in_graph: bool) -> None:
    places, mask = batch(SENTENCES)
    weights = RNG.normal(size=(4, 5, 3, 8)).astype(np.float32)

    def gradients(is_packed: bool) -> list[tf.Tensor]:
        vectors = tf.constant(VECTORS)
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            if is_packed:
                layers = packed(bilm, vectors, places, mask, differentiable)
            else:
                layers = masked(bilm, vectors, places, mask)
            loss = tf.reduce_sum(layers * weights)
        found = tape.gradient(loss, [vectors, *bilm.trainable_variables])
        return [tf.convert_to_tensor(gradient) for gradient in found]

    expected = gradients(False)
    result = tf.function(gradients)(True) if in_graph else gradients(True)
    for one, other in zip(result, expected, strict=True):
        assert np.any(other)
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.fixture(scope="module")
def both_ways(bilm: BidirectionalLM) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None), tf.bool),
        ]
    )
    def both(places: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        begin = tf.fill([tf.shape(places)[0], 1], BEGIN)
        bounded = tf.concat([begin, places, begin + END - BEGIN], axis=1)
        all_true = tf.pad(mask, [[0, 0], [1, 1]], constant_values=True)
        packing = pack(places, mask, BEGIN, END)
        return (
            bilm.run_packed(tf.constant(VECTORS), packing, differentiable=False),
            bilm(tf.gather(VECTORS, bounded), mask=all_true),
        )

    return both


@given(st.lists(st.lists(st.integers(1, 5), max_size=6), max_size=5))
def test_any_lengths(
    both_ways: Callable[..., tuple[tf.Tensor, tf.Tensor]], sentences: list[list[int]]
) -> None:
    places, mask = batch(sentences)
    result, expected = both_ways(places, mask)
    assert result.shape == (*mask.shape, 3, 8)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(dtype: str) -> None:
    tokens = [["the", "cat", "sat"], ["a", "", ""]]
    whole = ElmoEmbeddingLayer(TINY, "layers", "tokens")
    half = ElmoEmbeddingLayer(TINY, "layers", "tokens", dtype=dtype)
    half.set_weights(whole.get_weights())
    result = half(tokens)
    assert result.dtype == half.compute_dtype
    np.testing.assert_allclose(tf.cast(result, tf.float32), whole(tokens), atol=0.03)
