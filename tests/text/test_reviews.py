"""The embedded reviews: sizes, balance, types and no review on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from keras_elmo.text import load_reviews


@pytest.mark.parametrize(("part", "size"), [(0, 240), (1, 80)], ids=["train", "test"])
def test_every_line_is_one_clean_review(part: int, size: int) -> None:
    texts, labels = load_reviews()[part]
    assert texts.shape == labels.shape == (size,)
    assert (texts.dtype, labels.dtype) == (object, np.float32)
    assert np.count_nonzero(labels == 1) == np.count_nonzero(labels == 0) == size // 2
    for text in texts:
        assert type(text) is str
        assert text == text.strip() != ""
        assert "\t" not in text


def test_no_review_twice() -> None:
    (train, _), (test, _) = load_reviews()
    assert len({*train, *test}) == len(train) + len(test)
