"""Reads labels: lists, arrays, columns of tables, tensors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.sources import is_missing


def read_labels(labels: Any, n_texts: int) -> NDArray[Any]:
    """Converts a list, NumPy array, column of a table or tensor to an array (n, ...)."""
    if keras.ops.is_tensor(labels):  # on any device
        labels = keras.ops.convert_to_numpy(labels)
    array = _rectangular(labels.numpy() if hasattr(labels, "numpy") else labels)
    if array.ndim == 0 or len(array) != n_texts:
        found = "a single value" if array.ndim == 0 else f"{len(array):,}"
        raise ValueError(f"labels: expected one per text, {n_texts:,}; got {found}.")
    if array.dtype == object:
        _check_present([any(map(is_missing, np.ravel(row))) for row in array])
        array = _rectangular(array.tolist())
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"labels must be numbers; got {array.dtype} such as {array.flat[0]!r:.100}. "
            "Number the classes from 0."
        )
    if array.dtype.kind == "f":
        _check_present(np.isnan(array).reshape(n_texts, -1).any(axis=1))
    return array


def _rectangular(labels: Any) -> NDArray[Any]:
    try:
        return np.asarray(labels)
    except ValueError as error:
        raise ValueError(
            "labels must be numbers of shape (n, ...); got rows of different lengths."
        ) from error


def _check_present(missing: Any) -> None:
    if np.any(missing):
        raise ValueError(
            f"labels[{int(np.argmax(missing))}] is missing. Remove it, and its text."
        )
