"""Batches of features for ``fit`` and ``predict``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.batching import BatchPlan
from keras_elmo.training.batches import (
    Lengths,
    Part,
    array_part,
    padded_lengths,
    padded_part,
    planned_dataset,
)
from keras_elmo.training.labels import read_labels
from keras_elmo.types import check_integer


def feature_dataset(
    features: Any,
    labels: Any = None,
    *,
    token_labels: Sequence[Any] | None = None,
    batch_size: int = 32,
    token_budget: int | None = None,
    group_by_length: bool = False,
    shuffle: bool = False,
    seed: int | None = None,
    initial_epoch: int = 0,
) -> Any:
    """Creates a dataset of features: in batches, padded, and shuffled.

    Only the current batches are in memory. With the same arguments, the order of the texts
    is that of :func:`~keras_elmo.text_dataset`.

    Args:
        features: The result of :func:`~keras_elmo.compute_features`, an array (n, ...) of
            text vectors, or a sequence of arrays (time_i, ...) of token vectors.
        labels: Numbers (n, ...) in a list, array, column of a table or tensor, or ``None``.
        token_labels: Instead of ``labels``, for features of tokens: an array or list of
            labels, one per token, (time_i, ...), for each text. They are padded with zeros
            like the features.
        batch_size: The most texts in a batch.
        token_budget: For features of tokens: the most steps in a batch, padding included,
            as for :func:`~keras_elmo.text_dataset`; ``None`` for no limit.
        group_by_length: For features of tokens: whether batches hold texts of similar
            length. Without ``shuffle`` the texts are sorted, longest first.
        shuffle: Whether each iteration has another order, as for
            :func:`~keras_elmo.text_dataset`.
        seed: The seed of the orders.
        initial_epoch: The number of finished epochs, as for
            :func:`~keras_elmo.text_dataset`.

    Returns:
        A dataset of features, or of pairs of features and labels, of the type that
        :func:`~keras_elmo.text_dataset` returns. Features of tokens are (batch, time, ...),
        padded with zeros that :class:`~keras_elmo.training.MaskPadding` masks.

    Raises:
        TypeError: The features are something else, or the labels are not numbers.
        ValueError: Features of tokens differ in their dtype or in their shape after time;
            the number of labels is wrong, a label is missing, or another argument
            is out of its range or applies only to features of tokens.
    """
    check_integer("initial_epoch", initial_epoch, at_least=0)
    if labels is not None and token_labels is not None:
        raise ValueError("labels and token_labels: pass one of them, not both.")
    lengths = _token_lengths(features)
    if lengths is None:
        for_tokens = {"token_labels": token_labels, "token_budget": token_budget}
        for_tokens["group_by_length"] = group_by_length or None
        if given := [name for name, value in for_tokens.items() if value is not None]:
            raise ValueError(
                f"{given[0]} applies only to features of tokens; these are of whole texts."
            )
        array = np.asarray(features)
        steps, parts = np.ones(len(array), np.int64), [array_part(array)]
    else:
        steps = padded_lengths(lengths)
        parts = [padded_part(features, steps)]
        if token_labels is not None:
            parts.append(_token_labels_part(token_labels, lengths, steps))
    if labels is not None:
        parts.append(array_part(read_labels(labels, len(steps))))
    plan = BatchPlan(steps, batch_size, token_budget, group_by_length, shuffle, seed)
    return planned_dataset(plan, parts, initial_epoch)


def _token_lengths(features: Any) -> Lengths | None:
    """The number of tokens of each text (n,), or None for features of whole texts."""
    if isinstance(features, np.ndarray) and features.ndim > 1:
        return None
    if hasattr(features, "lengths"):
        return None if features.lengths is None else np.asarray(features.lengths, np.int64)
    if isinstance(features, (list, tuple)) and features and all(map(np.ndim, features)):
        first, *others = map(np.asarray, features)
        for i, rows in enumerate(others, start=1):
            fits = np.can_cast(rows.dtype, first.dtype, "same_kind")
            if not fits or rows.shape[1:] != first.shape[1:]:
                raise ValueError(
                    f"features[{i}]: expected the dtype of features[0], {first.dtype}, and "
                    f"its shape after the first axis, {first.shape[1:]}; got {rows.dtype} "
                    f"and {rows.shape[1:]}. Convert all to one dtype and shape."
                )
        return np.array([len(rows) for rows in features], np.int64)
    raise TypeError(
        "features must be an array (n, n_layers + 1, D), a sequence of arrays (time, "
        "n_layers + 1, D), or what keras_elmo.compute_features returns; got "
        f"{features!r:.100} of type {type(features).__name__}."
    )


def _token_labels_part(labels: Sequence[Any], lengths: Lengths, steps: Lengths) -> Part:
    if len(labels) != len(lengths):
        raise ValueError(
            f"token_labels: expected one item per text, {len(lengths):,}; got "
            f"{len(labels):,}."
        )
    for i, (row, length) in enumerate(zip(labels, lengths, strict=True)):
        n_labels = len(row) if np.ndim(row) else 0
        if n_labels != length:
            raise ValueError(
                f"token_labels[{i}]: expected one label per token, {length}; got "
                f"{n_labels}. The layer may have cut the text to its max_tokens."
            )
    every = [label for row in labels for label in row]
    if not every:
        raise ValueError("token_labels: the texts have no tokens to label.")
    ends = np.cumsum(lengths)  # (n,)

    def place(index: int) -> str:
        text = int(np.searchsorted(ends, index, side="right"))
        return f"[{text}][{index - ends[text] + lengths[text]}]"

    # (total tokens, ...)
    values: NDArray[Any] = read_labels(every, len(every), "token_labels", place)
    return padded_part(np.split(values, ends[:-1]), steps)
