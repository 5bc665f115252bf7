from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import batch_to_character_ids
from keras_elmo.text.sentence_ids import SentenceIds

pytestmark = pytest.mark.any_backend

TEXTS = [b"the cat sat", b" a  the ", b"", b"on the mat by the door"]


def sentence_ids(texts: list[bytes], length: int = 50) -> SentenceIds:
    steps = [sum(map(bool, text.split(b" "))) for text in texts]
    return SentenceIds(texts, np.array(steps), length)


def test_rows_in_any_order() -> None:
    ids = sentence_ids(TEXTS)(np.array([3, 1]))
    assert ids.dtype == np.int32
    expected = batch_to_character_ids([TEXTS[3].split(), TEXTS[1].split()])
    np.testing.assert_array_equal(ids, expected)


def test_texts_without_tokens_have_a_step() -> None:
    np.testing.assert_array_equal(sentence_ids(TEXTS)(np.array([2])), np.zeros((1, 1, 50)))


def test_more_steps_are_padding() -> None:
    ids = SentenceIds(TEXTS, np.array([5, 4, 1, 6]), 50)(np.array([0, 1]))
    assert ids.shape == (2, 5, 50)
    np.testing.assert_array_equal(ids[:, :3], sentence_ids(TEXTS)(np.array([0, 1])))
    assert not ids[:, 3:].any()


@pytest.mark.tensorflow
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4), st.integers(3, 9))
def test_the_same_ids_as_the_layers(texts: list[bytes], length: int) -> None:
    """Those of the words <S> and </S> too, which AllenNLP reads as boundaries."""
    from keras_elmo.layers import CharacterIds

    texts = [*texts, b"<S> a </S>"]
    ids = sentence_ids(texts, length)(np.arange(len(texts)))
    expected = CharacterIds(max_characters_per_token=length)(texts)
    np.testing.assert_array_equal(ids, expected)
