"""Reads labels: lists, arrays, columns of tables, tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.sources import is_missing


def read_labels(
    labels: Any,
    n_texts: int,
    name: str = "labels",
    place: Callable[[int], str] = "[{}]".format,
) -> NDArray[Any]:
    """Converts a list, NumPy array, column of a table or tensor to an array (n, ...).

    Errors have the argument's name, and the place in it of the label of an index.
    """
    if keras.ops.is_tensor(labels):  # on any device
        labels = keras.ops.convert_to_numpy(labels)
    array = _rectangular(labels.numpy() if hasattr(labels, "numpy") else labels, name)
    if array.ndim == 0 or len(array) != n_texts:
        found = "a single value" if array.ndim == 0 else f"{len(array):,}"
        raise ValueError(f"{name}: expected one per text, {n_texts:,}; got {found}.")
    if array.dtype == object:
        _check_present([any(map(is_missing, np.ravel(row))) for row in array], name, place)
        array = _rectangular(array.tolist(), name)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be numbers; got {array.dtype} such as {array.flat[0]!r:.100}. "
            "Number the classes from 0."
        )
    if array.dtype.kind == "f":
        _check_present(np.isnan(array).reshape(n_texts, -1).any(axis=1), name, place)
    return array


def _rectangular(labels: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(labels)
    except ValueError as error:
        raise ValueError(
            f"{name} must be numbers, or rows of numbers of one length; got rows of "
            "different lengths."
        ) from error


def _check_present(missing: Any, name: str, place: Callable[[int], str]) -> None:
    if np.any(missing):
        first = place(int(np.argmax(missing)))
        raise ValueError(f"{name}{first} is missing. Add it, or remove its text.")
