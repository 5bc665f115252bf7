from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.text.batching import BatchPlan, Indices, plan_batches

LENGTHS = st.lists(st.integers(0, 40), max_size=60)
LIMITS = st.tuples(  # batch_size, token_budget, group_by_length
    st.integers(1, 9), st.none() | st.integers(1, 90), st.booleans()
)


def as_lists(batches: list[Indices]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def is_within(batch: list[int], lengths: list[int], limits: tuple[Any, ...]) -> bool:
    batch_size, token_budget, _ = limits
    n_steps = len(batch) * max(1, *(lengths[i] for i in batch), 1)
    return len(batch) <= batch_size and (token_budget is None or n_steps <= token_budget)


def check_batches(
    batches: list[list[int]], lengths: list[int], limits: tuple[Any, ...]
) -> None:
    """Each text once, and no batch over a limit."""
    assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
    assert all(len(batch) == 1 or is_within(batch, lengths, limits) for batch in batches)


@pytest.mark.parametrize(
    ("lengths", "limits", "expected"),
    [
        ([3, 1, 2, 9, 0], (2,), [[0, 1], [2, 3], [4]]),
        ([3, 1, 2, 9, 0], (9,), [[0, 1, 2, 3, 4]]),
        ([], (2,), []),
        # 2 * 3, then 3 * 2, then 20 by itself.
        ([3, 2, 1, 2, 2, 20, 1], (9, 6), [[0, 1], [2, 3, 4], [5], [6]]),
        ([0, 0, 0], (9, 2), [[0, 1], [2]]),  # a text without tokens takes a step
        ([1, 5, 2, 5, 9], (2, None, True), [[4, 1], [3, 2], [0]]),
    ],
)
def test_batches_by_hand(lengths: Any, limits: Any, expected: Any) -> None:
    assert as_lists(plan_batches(lengths, *limits)) == expected


@given(lengths=LENGTHS, limits=LIMITS)
def test_planned_batches(lengths: list[int], limits: tuple[Any, ...]) -> None:
    batches = as_lists(plan_batches(lengths, *limits))
    check_batches(batches, lengths, limits)
    order = list(itertools.chain(*batches))
    if limits[2]:
        steps = [max(lengths[i], 1) for i in order]
        assert steps == sorted(steps, reverse=True)
    else:
        assert order == list(range(len(lengths)))
    # The first text of the next batch would have been too much.
    for batch, following in itertools.pairwise(batches):
        assert not is_within([*batch, following[0]], lengths, limits)


@given(lengths=LENGTHS, limits=LIMITS, seed=st.integers(0, 5))
def test_shuffled_batches(lengths: list[int], limits: tuple[Any, ...], seed: int) -> None:
    plan, again = (BatchPlan(lengths, *limits, shuffle=True, seed=seed) for _ in range(2))
    for epoch in range(3):
        batches = as_lists(plan.epoch(epoch))
        assert len(batches) == len(plan)
        check_batches(batches, lengths, limits)
        assert as_lists(again.epoch(epoch)) == batches
        if limits[1:] == (None, True):
            steps = [[lengths[i] for i in batch] for batch in batches]
            # Ordered by length, batches overlap by an eighth at most.
            pairs = sorted(((max(s), min(s)) for s in steps), reverse=True)
            for (_, least), (most, _) in itertools.pairwise(pairs):
                assert most <= least + least // 8 + 1


@pytest.mark.parametrize("limits", [*itertools.product([4], [None, 60], [False, True])])
def test_each_epoch_has_another_order(limits: tuple[Any, ...]) -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 100)
    plan = BatchPlan(lengths, *limits, shuffle=True, seed=1)
    epochs = [as_lists(plan.epoch(epoch)) for epoch in range(3)]
    other = as_lists(BatchPlan(lengths, *limits, shuffle=True, seed=2).epoch(0))
    plain = as_lists(BatchPlan(lengths, *limits).epoch(0))
    assert len({str(order) for order in (*epochs, other, plain)}) == 5
    if limits[1] is None:
        first, second = ({frozenset(batch) for batch in epoch} for epoch in epochs[:2])
        assert len(first & second) < 5  # the batches have other texts, too


def test_grouping_saves_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 1000)
    for group_by_length, least, most in ((True, 1, 1.1), (False, 1.7, 2.5)):
        plan = BatchPlan(lengths, 16, None, group_by_length, shuffle=True, seed=0)
        n_steps = sum(len(batch) * int(lengths[batch].max()) for batch in plan.epoch(0))
        assert least < n_steps / lengths.sum() < most


def test_without_a_seed_the_global_one_decides() -> None:
    def orders() -> list[list[list[int]]]:
        keras.utils.set_random_seed(3)
        plans = [BatchPlan([1] * 20, 4, shuffle=True) for _ in range(2)]
        return [as_lists(plan.epoch(0)) for plan in plans]

    first, second = orders()
    assert first != second
    assert orders() == [first, second]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer; got 0"),
        ({"token_budget": -1}, "token_budget must be a positive integer; got -1"),
        ({"group_by_length": 1}, "group_by_length must be True or False; got 1"),
        ({"shuffle": "yes"}, "shuffle must be True or False; got 'yes'"),
        ({"shuffle": True, "seed": -1}, "seed must be an integer from 0 on"),
        ({"seed": 3}, "seed=3 applies only with shuffle=True"),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchPlan([1, 2], **{"batch_size": 2, **arguments})
