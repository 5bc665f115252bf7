"""A few film reviews that come with the package, so that examples run offline."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Reviews = tuple[NDArray[np.object_], NDArray[np.float32]]
"""Texts (n,) of ``str`` and labels (n,): 1 positive, 0 negative."""

_N_TRAINING = 1000


def load_reviews() -> tuple[Reviews, Reviews]:
    """Reads the included reviews: enough to try a classifier, not to evaluate one.

    Returns:
        ``(train_texts, train_labels), (test_texts, test_labels)``, with 1,000 reviews to
        train on and 400 to test with. Texts are object arrays (n,) of ``str``. Labels are
        float32 arrays (n,): 1 for positive and 0 for negative reviews, as many of each.

    Example:
        >>> from keras_elmo.text import load_reviews
        >>> (train_texts, train_labels), (test_texts, test_labels) = load_reviews()
        >>> train_texts.shape, test_labels.shape
        ((1000,), (400,))
    """
    file = resources.files("keras_elmo") / "data" / "reviews.tsv"
    # Only "\n" ends a line here; splitlines() would also split at other characters.
    lines = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return _reviews(lines[:_N_TRAINING]), _reviews(lines[_N_TRAINING:])


def _reviews(lines: Sequence[str]) -> Reviews:
    labels, texts = zip(*(line.split("\t", 1) for line in lines), strict=True)
    return np.array(texts, dtype=object), np.array(labels, dtype=np.float32)
