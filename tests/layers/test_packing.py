from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.layers.packing import pack

BEGIN, END = 100, 101


def packed(mask: np.ndarray) -> tuple:
    """Packs tokens that are numbered row by row."""
    places = np.arange(mask.size, dtype=np.int32).reshape(mask.shape)
    return pack(tf.constant(places), tf.constant(mask), BEGIN, END)


def test_by_hand() -> None:
    packing = packed(np.array([[True, False, False], [True, False, True]]))
    # The second sentence, 3 and 5, is longer than the first, 0.
    assert packing.offsets.numpy().tolist() == [0, 2, 4, 5]
    forward, backward = (places.numpy().tolist() for places in packing.places)
    assert forward == [BEGIN, BEGIN, 3, 0, 5]
    assert backward == [END, END, 5, 0, 3]
    forward, backward = (positions.numpy() for positions in packing.positions)
    assert (forward[0, 0], forward[1, 0], forward[1, 2]) == (3, 2, 4)
    assert (backward[0, 0], backward[1, 0], backward[1, 2]) == (3, 4, 2)


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    batch, time = draw(st.integers(0, 5)), draw(st.integers(1, 5))
    values = draw(st.lists(st.booleans(), min_size=batch * time, max_size=batch * time))
    return np.array(values, dtype=bool).reshape(batch, time)


@given(masks())
def test_every_step_of_every_sentence_once(mask: np.ndarray) -> None:
    packing = packed(mask)
    offsets = packing.offsets.numpy()
    counts = np.diff(offsets)
    lengths = mask.sum(axis=1) + 1
    expected = [np.sum(lengths > step) for step in range(max(lengths, default=1))]
    assert counts.tolist() == expected
    tokens = np.flatnonzero(mask)
    boundaries = (BEGIN, END)
    for places, positions, boundary in zip(
        packing.places, packing.positions, boundaries, strict=True
    ):
        places, positions = places.numpy(), positions.numpy()[mask]
        assert len(places) == np.sum(lengths)
        assert places[: len(mask)].tolist() == [boundary] * len(mask)
        # Each token is found where it is said to stand.
        np.testing.assert_array_equal(places[positions], tokens)


@given(masks())
def test_the_sentences_of_a_step_are_the_first_of_the_step_before(mask: np.ndarray) -> None:
    packing = packed(mask)
    offsets, width = packing.offsets.numpy(), mask.shape[1]
    for places in packing.places:
        steps = np.split(places.numpy(), offsets[1:-1])
        rows: list[int] = []
        for step in steps[1:]:
            of_step = [int(place) // width for place in step if place < BEGIN]
            common = min(len(rows), len(of_step))
            assert of_step[:common] == rows[:common]
            rows = of_step
