"""Removes padding from predictions for tokens."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray


def unpadded(predictions: Any, mask: ArrayLike) -> list[NDArray[Any]]:
    """Removes the padding from a model's predictions for tokens.

    If batches have different lengths, ``predict`` returns a ``tf.RaggedTensor`` whose rows
    have the padded length of their batch. NumPy does not support ragged tensors:
    ``np.argmax`` returns 0 without an error. ::

        scores = model.predict(texts)
        rows = unpadded(scores, layer.compute_mask(texts))
        labels = [row.argmax(axis=-1) for row in rows]  # (tokens,) for each text

    Args:
        predictions: An array, tensor or ragged tensor (n, time, ...).
        mask: Booleans (n, time), true at tokens, from ``layer.compute_mask(texts)``; its
            time may be that of the longest text.

    Returns:
        An array (tokens, ...) for each text.

    Raises:
        ValueError: The numbers of rows differ, or a row has fewer steps than tokens.

    Example:
        >>> import numpy as np
        >>> from keras_elmo.training import unpadded
        >>> scores = np.array([[[0.1, 0.9], [0.8, 0.2]], [[0.3, 0.7], [0.0, 0.0]]])
        >>> [row.argmax(axis=-1) for row in unpadded(scores, [[True, True], [True, False]])]
        [array([1, 0]), array([1])]
    """
    tokens = np.asarray(keras.ops.convert_to_numpy(mask), bool)  # (n, time)
    is_ragged = hasattr(predictions, "row_splits")
    rows: Any = predictions if is_ragged else _array(predictions)
    n_rows = int(predictions.nrows()) if is_ragged else len(rows)
    if n_rows != len(tokens):
        raise ValueError(
            f"mask: expected one row per prediction, {n_rows:,}; got {len(tokens):,}."
        )
    return [
        _tokens(_array(row), here, number)
        for number, (row, here) in enumerate(zip(rows, tokens, strict=True))
    ]


def _array(values: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(values))


def _tokens(row: NDArray[Any], here: NDArray[np.bool_], number: int) -> NDArray[Any]:
    if here[len(row) :].any():
        raise ValueError(
            f"predictions[{number}] has fewer steps ({len(row)}) than the mask has tokens. "
            "Pass the mask that the model's own layer computes for these texts."
        )
    places = np.flatnonzero(here[: len(row)])
    found: NDArray[Any] = row[places]  # (tokens, ...)
    return found
