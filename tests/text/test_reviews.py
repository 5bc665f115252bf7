"""The embedded reviews: sizes, balance, types and no review on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from keras_elmo.text.reviews import load_reviews

PARTS = pytest.mark.parametrize(
    ("part", "size"), [(0, 240), (1, 80)], ids=["train", "test"]
)


@PARTS
def test_shapes_and_types(part: int, size: int) -> None:
    texts, labels = load_reviews()[part]
    assert texts.shape == labels.shape == (size,)
    assert texts.dtype == object
    assert labels.dtype == np.float32
    assert all(type(text) is str for text in texts)


@PARTS
def test_balanced(part: int, size: int) -> None:
    _, labels = load_reviews()[part]
    assert np.count_nonzero(labels == 1) == np.count_nonzero(labels == 0) == size // 2


@PARTS
def test_every_line_is_one_clean_review(part: int, size: int) -> None:
    texts, _ = load_reviews()[part]
    for text in texts:
        assert text
        assert text == text.strip()
        assert "\t" not in text


def test_no_review_twice() -> None:
    (train, _), (test, _) = load_reviews()
    assert len({*train, *test}) == len(train) + len(test)
