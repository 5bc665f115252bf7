"""Plans batches from the lengths of texts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_elmo.types import check_integer, check_positive_integer, check_true_or_false

Indices = NDArray[np.intp]
T = TypeVar("T")


def plan_batches(
    lengths: ArrayLike,
    batch_size: int,
    token_budget: int | None = None,
    group_by_length: bool = False,
) -> list[Indices]:
    """The indices of each batch's texts; batches are as large as the limits allow.

    A batch has at most ``token_budget`` steps, padding included, unless it is one long
    text. With ``group_by_length`` the longest come first; otherwise texts keep their order.
    """
    # The layer turns a text without tokens into one step.
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
    """The batches of each epoch; all epochs have the same number of batches.

    With ``shuffle`` each epoch has another order. With ``group_by_length``, texts of
    similar length are exchanged, and the batches are shuffled. With only ``token_budget``,
    just the batches are shuffled, because the number of other batches could differ. Without
    a seed, one is drawn, which ``keras.utils.set_random_seed`` makes repeatable.
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
        if seed is not None:
            check_integer("seed", seed, at_least=0)
            if not shuffle:
                raise ValueError(
                    f"seed={seed!r} applies only with shuffle=True. Leave it out, or use "
                    "shuffle=True."
                )
        self.seed = random.getrandbits(63) if seed is None else seed
        self._n_batches = len(self.epoch(0))

    def __len__(self) -> int:
        return self._n_batches

    def epoch(self, number: int) -> list[Indices]:
        """The indices of each batch's texts in an epoch; epochs count from 0."""
        limits = (self.batch_size, self.token_budget, self.group_by_length)
        if not self.shuffle:
            return plan_batches(self.lengths, *limits)
        rng = np.random.default_rng((self.seed, number))
        lengths, texts_rng = self.lengths, rng
        if self.group_by_length:
            # Sorted, the rounded lengths are the same in each epoch, and so the batches.
            lengths = rounded_up(lengths)  # (n,)
        elif self.token_budget is not None:
            texts_rng = np.random.default_rng(self.seed)
        order = texts_rng.permutation(len(lengths))  # (n,)
        batches = [order[places] for places in plan_batches(lengths[order], *limits)]
        return [batches[i] for i in rng.permutation(len(batches))]


def rounded_up(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rounds up to four binary digits: lengths that differ by an eighth become equal."""
    _, n_digits = np.frexp(lengths)
    unit = 2 ** np.maximum(n_digits - 4, 0).astype(np.int64)
    return -(-lengths // unit) * unit


def chunks(
    items: Iterable[T], sizes: Callable[[T], tuple[int, ...]], limits: tuple[int, ...]
) -> Iterator[list[T]]:
    """Cuts items into chunks; a chunk ends when the sum of a size reaches its limit."""
    chunk: list[T] = []
    sums = np.zeros(len(limits), np.int64)
    for item in items:
        chunk.append(item)
        sums += sizes(item)
        if (sums >= limits).any():
            yield chunk
            chunk, sums[:] = [], 0
    if chunk:
        yield chunk
