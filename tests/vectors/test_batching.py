from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.vectors.batching import BatchPlan, plan_batches

LENGTHS = st.lists(st.integers(0, 40), max_size=60)
LIMITS = {
    "batch_size": st.integers(1, 9),
    "token_budget": st.one_of(st.none(), st.integers(1, 90)),
    "group_by_length": st.booleans(),
}


def as_lists(batches: list[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def check_batches(
    batches: list[np.ndarray], lengths: list[int], batch_size: int, token_budget: int | None
) -> None:
    """Each text once, and no batch over a limit."""
    indices = [i for batch in batches for i in batch.tolist()]
    assert sorted(indices) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        if token_budget is not None and len(batch) > 1:
            assert len(batch) * max(1, *(lengths[i] for i in batch)) <= token_budget


def test_in_the_order_of_the_texts() -> None:
    assert as_lists(plan_batches([3, 1, 2, 9, 0], 2)) == [[0, 1], [2, 3], [4]]
    assert as_lists(plan_batches([3, 1, 2, 9, 0], 9)) == [[0, 1, 2, 3, 4]]
    assert plan_batches([], 2) == []


def test_token_budget() -> None:
    # 2 * 3, then 3 * 2, then 20 by itself.
    assert as_lists(plan_batches([3, 2, 1, 2, 2, 20, 1], 9, 6)) == [
        [0, 1],
        [2, 3, 4],
        [5],
        [6],
    ]
    # A text without tokens takes a step.
    assert as_lists(plan_batches([0, 0, 0], 9, 2)) == [[0, 1], [2]]


def test_similar_lengths_together() -> None:
    assert as_lists(plan_batches([1, 5, 2, 5, 9], 2, group_by_length=True)) == [
        [4, 1],
        [3, 2],
        [0],
    ]


@given(lengths=LENGTHS, **LIMITS)
def test_planned_batches(
    lengths: list[int], batch_size: int, token_budget: int | None, group_by_length: bool
) -> None:
    batches = plan_batches(lengths, batch_size, token_budget, group_by_length)
    check_batches(batches, lengths, batch_size, token_budget)
    order = [i for batch in batches for i in batch.tolist()]
    if group_by_length:
        steps = [max(lengths[i], 1) for i in order]
        assert steps == sorted(steps, reverse=True)
    else:
        assert order == list(range(len(lengths)))
    # The first text of the next batch would have been too much.
    for batch, following in itertools.pairwise(batches):
        more = [*batch.tolist(), int(following[0])]
        n_steps = len(more) * max(1, *(lengths[i] for i in more))
        assert len(more) > batch_size or (
            token_budget is not None and n_steps > token_budget
        )


@given(lengths=LENGTHS, seed=st.integers(0, 5), **LIMITS)
def test_shuffled_batches(
    lengths: list[int],
    batch_size: int,
    token_budget: int | None,
    group_by_length: bool,
    seed: int,
) -> None:
    limits = (batch_size, token_budget, group_by_length)
    plan = BatchPlan(lengths, *limits, shuffle=True, seed=seed)
    again = BatchPlan(lengths, *limits, shuffle=True, seed=seed)
    for epoch in range(3):
        batches = plan.epoch(epoch)
        assert len(batches) == len(plan)
        check_batches(batches, lengths, batch_size, token_budget)
        assert as_lists(again.epoch(epoch)) == as_lists(batches)
        if group_by_length and token_budget is None:
            longest = [max(lengths[i] for i in batch) for batch in batches]
            shortest = [min(lengths[i] for i in batch) for batch in batches]
            # Ordered by length, batches overlap by an eighth at most.
            pairs = sorted(zip(longest, shortest, strict=True), reverse=True)
            for (_, least), (most, _) in itertools.pairwise(pairs):
                assert most <= least + least // 8 + 1


@pytest.mark.parametrize("group_by_length", [False, True])
@pytest.mark.parametrize("token_budget", [None, 60])
def test_each_epoch_has_another_order(
    group_by_length: bool, token_budget: int | None
) -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 100)
    limits = (4, token_budget, group_by_length)
    plan = BatchPlan(lengths, *limits, shuffle=True, seed=1)
    orders = [str(as_lists(plan.epoch(epoch))) for epoch in range(3)]
    orders.append(str(as_lists(BatchPlan(lengths, *limits, shuffle=True, seed=2).epoch(0))))
    orders.append(str(as_lists(plan_batches(lengths, *limits))))
    assert len(set(orders)) == 5


def test_batches_have_other_texts_in_each_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 100)
    for group_by_length in (False, True):
        plan = BatchPlan(lengths, 4, None, group_by_length, shuffle=True, seed=1)
        first, second = ({frozenset(b.tolist()) for b in plan.epoch(e)} for e in (0, 1))
        assert len(first & second) < 5


def test_grouping_saves_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 1000)

    def n_steps(group_by_length: bool) -> int:
        plan = BatchPlan(lengths, 16, None, group_by_length, shuffle=True, seed=0)
        return sum(len(batch) * int(lengths[batch].max()) for batch in plan.epoch(0))

    assert n_steps(True) < 1.1 * lengths.sum()
    assert n_steps(False) > 1.7 * lengths.sum()


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
        ({"shuffle": True, "seed": True}, "seed must be an integer from 0 on"),
        ({"seed": 3}, "seed=3 has an effect with shuffle=True only"),
    ],
)
def test_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchPlan([1, 2], **{"batch_size": 2, **arguments})  # type: ignore[arg-type]
