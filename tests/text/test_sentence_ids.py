from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import batch_to_character_ids
from keras_elmo.text.lexicon import TokenIds
from keras_elmo.text.sentence_ids import SentenceIds

pytestmark = pytest.mark.any_backend

TEXTS = [
    text.split() for text in (b"the cat sat", b"a the", b"", b"on the mat by the door")
]


@pytest.mark.parametrize("rows", [[3, 1], [2], [0, 1, 2]])
@pytest.mark.parametrize("more", [0, 3])
def test_rows_in_any_order(rows: list[int], more: int) -> None:
    steps = np.array([3, 2, 0, 6]) + more
    ids = SentenceIds(TEXTS, steps, TokenIds(50))(np.array(rows))
    assert ids.dtype == np.int32
    assert ids.shape[1] == max(1, steps[rows].max())  # also without tokens
    expected = batch_to_character_ids([TEXTS[row] for row in rows])
    time = expected.shape[1]
    np.testing.assert_array_equal(ids[:, :time], expected)
    assert not ids[:, time:].any()  # padding


@pytest.mark.tensorflow
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4), st.integers(3, 9))
def test_the_same_ids_as_the_layers(texts: list[bytes], length: int) -> None:
    """Those of the words <S> and </S> too, which AllenNLP reads as boundaries."""
    from keras_elmo.layers import CharacterIds

    texts = [*texts, b"<S> a </S>"]
    tokens = [list(filter(None, text.split(b" "))) for text in texts]
    steps = np.array(list(map(len, tokens)))
    ids = SentenceIds(tokens, steps, TokenIds(length))(np.arange(len(texts)))
    expected = CharacterIds(max_characters_per_token=length)(texts)
    np.testing.assert_array_equal(ids, expected)
