"""Which texts go into a batch together: lengths in, indices out."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_elmo.types import check_integer, check_positive_integer, check_true_or_false

Indices = NDArray[np.intp]


def plan_batches(
    lengths: ArrayLike,
    batch_size: int,
    token_budget: int | None = None,
    group_by_length: bool = False,
) -> list[Indices]:
    """Divides texts into batches.

    Args:
        lengths: The number of tokens of each text, (n,). A text without tokens counts as
            one step, which the layer gives it.
        batch_size: The most texts in a batch.
        token_budget: The most steps in a batch, padding included: its texts times the
            length of its longest. A text that is longer by itself has a batch of its own.
            ``None`` for any number.
        group_by_length: Whether to sort the texts, longest first, so that a batch holds
            texts of similar length; those of equal length stay in their order. Otherwise
            all stay in their order.

    Returns:
        The indices of each batch's texts; each text is in one batch. Each batch but the
        last is as large as the limits allow.
    """
    steps = np.maximum(np.asarray(lengths, dtype=np.int64), 1)  # (n,)
    if not len(steps):
        return []
    order = np.arange(len(steps))  # (n,)
    if group_by_length:
        order = np.argsort(-steps, kind="stable")  # (n,)
    cuts, start, longest = [], 0, 0
    for position, n_steps in enumerate(steps[order].tolist()):
        longest = max(longest, n_steps)
        n_texts = position - start + 1
        is_over = token_budget is not None and n_texts * longest > token_budget
        if n_texts > 1 and (n_texts > batch_size or is_over):
            cuts.append(position)
            start, longest = position, n_steps
    return np.split(order, cuts)


class BatchPlan:
    """The batches of each epoch; their number is the same in all.

    Args:
        lengths: As for :func:`plan_batches`.
        batch_size: As there.
        token_budget: As there.
        group_by_length: As there.
        shuffle: Whether each epoch has another order. With ``group_by_length`` the texts
            change places with those of about the same length, and the batches with each
            other. With ``token_budget`` alone only the batches do: other batches might be
            more or fewer.
        seed: Makes the orders repeatable. ``None`` draws one from Python's random
            numbers, which ``keras.utils.set_random_seed`` makes repeatable.

    Raises:
        ValueError: An argument is out of its range, or there is a seed for nothing.
    """

    def __init__(
        self,
        lengths: ArrayLike,
        batch_size: int,
        token_budget: int | None = None,
        group_by_length: bool = False,
        shuffle: bool = False,
        seed: int | None = None,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.batch_size = check_positive_integer("batch_size", batch_size)
        if token_budget is not None:
            check_positive_integer("token_budget", token_budget)
        self.token_budget = token_budget
        self.group_by_length = check_true_or_false("group_by_length", group_by_length)
        self.shuffle = check_true_or_false("shuffle", shuffle)
        self.seed = _checked_seed(seed, shuffle)
        self._n_batches = len(self.epoch(0))

    def __len__(self) -> int:
        return self._n_batches

    def epoch(self, number: int) -> list[Indices]:
        """The indices of the texts of each batch of an epoch, which count from 0."""
        limits = (self.batch_size, self.token_budget, self.group_by_length)
        if not self.shuffle:
            return plan_batches(self.lengths, *limits)
        rng = np.random.default_rng((self.seed, number))
        lengths, texts_rng = self.lengths, rng
        if self.group_by_length:
            # Sorted, they are the same numbers in each epoch, and so are the batches'.
            lengths = rounded_up(lengths)  # (n,)
        elif self.token_budget is not None:
            texts_rng = np.random.default_rng(self.seed)
        order = texts_rng.permutation(len(lengths))  # (n,)
        batches = [order[places] for places in plan_batches(lengths[order], *limits)]
        return [batches[i] for i in rng.permutation(len(batches))]


def rounded_up(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rounds to four binary digits, so that up to an eighth longer counts as equal."""
    _, n_digits = np.frexp(lengths)
    unit = 2 ** np.maximum(n_digits - 4, 0).astype(np.int64)
    return -(-lengths // unit) * unit


def _checked_seed(seed: object, shuffle: bool) -> int:
    if seed is None:
        return random.getrandbits(63)
    number = check_integer("seed", seed, at_least=0)
    if not shuffle:
        raise ValueError(
            f"seed={seed!r} has an effect with shuffle=True only. Leave it out, or shuffle."
        )
    return number
