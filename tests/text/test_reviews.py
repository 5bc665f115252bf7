"""The embedded reviews: sizes, balance, types and no review twice."""

from __future__ import annotations

import numpy as np

from keras_elmo.text import load_reviews


def test_every_line_is_one_clean_review() -> None:
    parts = load_reviews()
    for (texts, labels), size in zip(parts, (1000, 400), strict=True):
        assert texts.shape == labels.shape == (size,)
        assert (texts.dtype, labels.dtype) == (object, np.float32)
        assert np.count_nonzero(labels == 1) == np.count_nonzero(labels == 0) == size // 2
        for text in texts:
            assert type(text) is str
            assert text == text.strip() != ""
            assert "\t" not in text
    assert len({*parts[0][0], *parts[1][0]}) == 1400
