"""Predictions without padding, whatever the batches they came in."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.training import unpadded
from tests.any_backend import symbolic
from tests.tiny_models import LEAST

TEXTS = tf.constant(["a b c", "d", "", "e f"])


@pytest.mark.parametrize(("batch_size", "keep"), [(3, True), (4, False)])
def test_every_token_and_nothing_else(batch_size: int, keep: bool) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "elmo", keep_sentence_boundaries=keep)
    model = keras.Model(x := symbolic("sentences"), layer(x))
    predictions = model.predict(TEXTS, batch_size=batch_size, verbose=0)
    assert isinstance(predictions, tf.RaggedTensor) == (batch_size != 4)
    found = unpadded(predictions, layer.compute_mask(TEXTS))
    expected = layer(TEXTS)
    assert [len(row) for row in found] == [n + 2 * keep for n in (3, 1, 0, 2)]
    for row, vectors in zip(found, expected.numpy(), strict=True):
        np.testing.assert_allclose(row, vectors[: len(row)], atol=1e-6)


def test_padding_anywhere() -> None:
    rows = unpadded([[1, 2, 3], [4, 5, 6]], [[False, True, False], [True, False, True]])
    assert [row.tolist() for row in rows] == [[2], [4, 6]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([[True]], "mask: expected one row per prediction, 2; got 1"),
        ([[True] * 3] * 2, r"predictions\[0\] has fewer steps \(2\) than the mask"),
    ],
)
def test_refuses(mask: list[list[bool]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpadded(np.ones((2, 2)), mask)
