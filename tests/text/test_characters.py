from __future__ import annotations

import numpy as np
import pytest

from keras_elmo import batch_to_character_ids

AB = [259, 98, 99, 260, 261, 261, 261]
PADDING = [0] * 7


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([["ab", "é"]], [[AB, [259, 196, 170, 260, 261, 261, 261]]]),
        ([["ab", "ab"], ["ab"]], [[AB, AB], [AB, PADDING]]),
        ([["abcdefgh"]], [[[259, 98, 99, 100, 101, 102, 260]]]),
        # As in AllenNLP: boundaries, a token without characters, half a character.
        ([["<S>"]], [[[259, 257, 260, 261, 261, 261, 261]]]),
        ([["</S>"]], [[[259, 258, 260, 261, 261, 261, 261]]]),
        ([["", "ab\ud800"]], [[[259, 260, 261, 261, 261, 261, 261], AB]]),
        ([[b"ab"]], [[AB]]),
        (np.array([["ab"]], dtype=object), [[AB]]),
        (np.array([["ab"]]), [[AB]]),
    ],
)
def test_ids_by_hand(batch: list[list[str]], expected: list[list[list[int]]]) -> None:
    ids = batch_to_character_ids(batch, 7)
    assert ids.dtype == np.int32
    assert ids.tolist() == expected


def test_default_length_and_empty_batches() -> None:
    for batch, shape in (([["a"], []], (2, 1)), ([], (0, 0)), ([[], []], (2, 0))):
        assert batch_to_character_ids(batch).shape == (*shape, 50)


@pytest.mark.parametrize(
    ("batch", "length", "message"),
    [
        ("a sentence", 50, "must be a sequence of sentences, each a sequence of tokens"),
        (["a sentence"], 50, "Split sentences into tokens first"),
        ([3], 50, "must be a sequence of sentences"),
        ([["a", None]], 50, "tokens of type str or bytes; got None of type NoneType"),
        ([["a", 3]], 50, "tokens of type str or bytes; got 3 of type int"),
        ([["a"]], 2, "max_characters_per_token must be at least 3"),
    ],
)
def test_refuses(batch: list[list[str]], length: int, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        batch_to_character_ids(batch, length)
