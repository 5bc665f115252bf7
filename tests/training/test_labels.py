from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_elmo.training.labels import read_labels


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 0, 2], np.array([1, 0, 2])),
        ((0.5, 1.5, 2.5), np.array([0.5, 1.5, 2.5])),
        ([True, False, True], np.array([True, False, True])),
        (np.eye(3, dtype=np.float16), np.eye(3, dtype=np.float16)),
        (np.array([1, 0, 2], dtype=object), np.array([1, 0, 2])),
        (tf.constant([1, 0, 2], tf.int8), np.array([1, 0, 2], np.int8)),
    ],
)
def test_labels(labels: object, expected: np.ndarray) -> None:
    found = read_labels(labels, 3)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["int64", "Int64", "object"])
def test_columns(dtype: str) -> None:
    pandas = pytest.importorskip("pandas")
    found = read_labels(pandas.Series([1, 0, 2], index=[9, 8, 7], dtype=dtype), 3)
    np.testing.assert_array_equal(found, [1, 0, 2])
    assert found.dtype == np.int64
    with pytest.raises(ValueError, match=r"labels\[2\] is missing"):
        read_labels(pandas.Series([1, 0, None], dtype="Int64"), 3)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([1, 0], ValueError, "labels: expected one per text, 3; got 2"),
        (1, ValueError, "labels: expected one per text, 3; got a single value"),
        ([1, None, 0], ValueError, r"labels\[1\] is missing\. Add it, or remove"),
        ([1, 0, float("nan")], ValueError, r"labels\[2\] is missing"),
        ([[1, 2], [1, np.nan], [0, 0]], ValueError, r"labels\[1\] is missing"),
        ([[1], [1, 2], [0]], ValueError, "got rows of different lengths"),
        (["pos", "neg", "pos"], TypeError, "labels must be numbers; got .*'pos'.* Number"),
        (np.array(["pos", "neg", 3], object), TypeError, "labels must be numbers; got"),
    ],
)
def test_refuses(labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_labels(labels, 3)
