from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import batch_to_character_ids


def test_ids_by_hand() -> None:
    ids = batch_to_character_ids([["ab", "é"], ["c"]], 7)
    assert ids.dtype == np.int32
    assert ids.tolist() == [
        [[259, 98, 99, 260, 261, 261, 261], [259, 196, 170, 260, 261, 261, 261]],
        [[259, 100, 260, 261, 261, 261, 261], [0, 0, 0, 0, 0, 0, 0]],
    ]


def test_long_tokens_are_cut_by_bytes() -> None:
    ids = batch_to_character_ids([["abcdefgh"]], 6)
    assert ids.tolist() == [[[259, 98, 99, 100, 101, 260]]]


def test_boundaries_empty_tokens_and_surrogates_are_as_in_allennlp() -> None:
    ids = batch_to_character_ids([["<S>", "</S>", "", "a\ud800"]], 5)
    assert ids.tolist() == [
        [
            [259, 257, 260, 261, 261],
            [259, 258, 260, 261, 261],
            [259, 260, 261, 261, 261],
            [259, 98, 260, 261, 261],
        ]
    ]


def test_default_length_and_empty_batches() -> None:
    assert batch_to_character_ids([["a"], []]).shape == (2, 1, 50)
    assert batch_to_character_ids([]).shape == (0, 0, 50)
    assert batch_to_character_ids([[], []]).shape == (2, 0, 50)


def test_takes_arrays_and_bytes() -> None:
    as_array = batch_to_character_ids(np.array([["a", "b"]], dtype=object))
    as_bytes = batch_to_character_ids([[b"a", b"b"]])
    assert np.array_equal(as_array, as_bytes)
    assert np.array_equal(batch_to_character_ids(np.array([["a", "b"]])), as_bytes)


@given(st.lists(st.lists(st.binary(max_size=12), max_size=4), max_size=3))
def test_bytes_can_be_read_back(batch: list[list[bytes]]) -> None:
    ids = batch_to_character_ids(batch, 14)
    for row, tokens in enumerate(batch):
        for column, token in enumerate(tokens):
            if token in (b"<S>", b"</S>"):
                continue
            characters = [i - 1 for i in ids[row, column]]
            assert bytes(characters[1 : characters.index(259)]) == token
        assert not ids[row, len(tokens) :].any()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ("a sentence", "must be a sequence of sentences, each a sequence of tokens"),
        (["a sentence"], "Split sentences into tokens first"),
        ([3], "must be a sequence of sentences"),
        ([["a", None]], "tokens of type str or bytes, not None of type NoneType"),
        ([["a", 3]], "tokens of type str or bytes, not 3 of type int"),
    ],
)
def test_refuses(batch: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        batch_to_character_ids(batch)


def test_refuses_a_length_without_room() -> None:
    with pytest.raises(ValueError, match="max_characters_per_token must be at least 3"):
        batch_to_character_ids([["a"]], 2)
