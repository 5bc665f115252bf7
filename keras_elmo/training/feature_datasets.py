"""Features as batches for ``fit`` and ``predict``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.texts import read_labels
from keras_elmo.training.datasets import Part, array_part, batched_dataset
from keras_elmo.vectors.batching import BatchPlan
from keras_elmo.vectors.embeddings import Embeddings


def feature_dataset(
    features: NDArray[Any] | Embeddings | Sequence[NDArray[Any]],
    labels: Any = None,
    *,
    token_labels: Sequence[Any] | None = None,
    batch_size: int = 32,
    token_budget: int | None = None,
    group_by_length: bool = False,
    shuffle: bool = False,
    seed: int | None = None,
) -> Any:
    """Makes a data set of features: in batches, padded, and shuffled.

    Only the batches that are in use are in memory. With the same arguments the order of
    the texts is that of :func:`~keras_elmo.text_dataset`.

    Args:
        features: What :func:`~keras_elmo.compute_features` returns, or an array (n,
            n_layers + 1, D); or for tokens a list of arrays (time, ...), one for each text.
        labels: Numbers (n, ...) in a list, array, pandas Series or tensor, or ``None``.
        token_labels: In place of ``labels`` for token-level features: for each text an
            array or list of a label for each of its tokens, (time_i, ...). They are padded
            like the features, with zeros.
        batch_size: The most texts in a batch.
        token_budget: For token-level features: the most steps in a batch, padding
            included, as for :func:`~keras_elmo.text_dataset`; ``None`` for any number.
        group_by_length: For token-level features: whether a batch holds texts of similar
            length. By itself it sorts the texts, longest first.
        shuffle: Whether each iteration has another order, as for
            :func:`~keras_elmo.text_dataset`.
        seed: Makes the orders repeatable.

    Returns:
        A ``tf.data.Dataset`` of features, or of pairs of them and the labels. Token-level
        features are (batch, time, n_layers + 1, D) with zeros behind the shorter texts,
        which :class:`~keras_elmo.MaskPadding` masks. It knows its number of batches.

    Raises:
        TypeError: The features are neither, or the labels are not numbers.
        ValueError: As many labels are not there, one of them is missing, or another
            argument is out of its range, or only for token-level features.
    """
    part: Part
    if isinstance(features, Embeddings) and features.lengths is None:
        features = features.values  # (n, n_layers + 1, D)
    lengths: Any
    if isinstance(features, Embeddings):
        lengths, part = features.lengths, _token_part(features)
    elif isinstance(features, (list, tuple)) and all(map(np.ndim, features)):
        lengths = np.array([len(rows) for rows in features], np.int64)
        part = _token_part(features)
    elif isinstance(features, np.ndarray) and features.ndim > 1:
        _check_pooled(token_labels, token_budget, group_by_length)
        lengths, part = np.ones(len(features), np.int64), array_part(features)
    else:
        raise TypeError(
            "features must be an array (n, n_layers + 1, D), or what "
            f"keras_elmo.compute_features returns; got {features!r:.100} of type "
            f"{type(features).__name__}."
        )
    plan = BatchPlan(lengths, batch_size, token_budget, group_by_length, shuffle, seed)
    parts = [part]
    if labels is not None and token_labels is not None:
        raise ValueError("labels and token_labels: give one of them; got both.")
    if labels is not None:
        parts.append(array_part(read_labels(labels, len(lengths))))
    if token_labels is not None:
        parts.append(_token_part(_divided(token_labels, lengths)))
    return batched_dataset(plan, parts)


def _token_part(texts: Any) -> Part:
    import tensorflow as tf

    first = np.asarray(texts[0])

    def padded(rows: Any) -> NDArray[Any]:
        """The arrays of some texts in one (batch, time, ...), zeros after shorter ones."""
        arrays = [texts[int(i)] for i in rows]
        time = max([1, *map(len, arrays)])
        shape = (len(arrays), time, *first.shape[1:])
        result = np.zeros(shape, first.dtype)  # (batch, time, ...)
        for target, array in zip(result, arrays, strict=True):
            target[: len(array)] = array
        return result

    return padded, tf.TensorSpec((None, None, *first.shape[1:]), first.dtype)


def _divided(token_labels: Sequence[Any], lengths: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Labels of tokens in the form of their features."""
    if len(token_labels) != len(lengths):
        raise ValueError(
            f"token_labels must be as many as texts, {len(lengths)}; got "
            f"{len(token_labels)}."
        )
    for i, (row, length) in enumerate(zip(token_labels, lengths, strict=True)):
        n_labels = len(row) if np.ndim(row) else 0
        if n_labels != length:
            raise ValueError(
                f"token_labels: the text at position {i} has {length} tokens; got "
                f"{n_labels} labels. The layer may have cut it to its max_tokens."
            )
    every = [label for row in token_labels for label in row]
    if not every:
        raise ValueError("token_labels: the texts have no tokens to label.")
    return np.split(read_labels(every, len(every)), np.cumsum(lengths)[:-1])


def _check_pooled(
    token_labels: object, token_budget: object, group_by_length: object
) -> None:
    for name, value in (
        ("token_labels", token_labels),
        ("token_budget", token_budget),
        ("group_by_length", group_by_length or None),
    ):
        if value is not None:
            raise ValueError(
                f"{name} is for token-level features; these have one row for each text."
            )
