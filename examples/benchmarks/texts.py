"""The texts of the benchmark."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from keras_elmo import tokenize
from keras_elmo.text.imdb import load_imdb
from keras_elmo.text.reviews import Reviews

Texts = NDArray[np.object_]
"""Sentences (n,) of ``str``, whose tokens are separated by spaces."""

# These make texts like the IMDB reviews in length and in the number of distinct words per
# batch, which determines the cost of the token encoder.
N_WORDS = 20_000
ZIPF_SHIFT, ZIPF_EXPONENT = 3, 1.15
LOG_LENGTH = (5.38, 0.64)  # mean and standard deviation

# In these texts one token in twelve depends on the label, with some noise.
OPINION_EVERY, N_OPINIONS, HONESTY = 12, 20, 0.8


def real_reviews(data: str, n: int, n_tokens: int, seed: int) -> Reviews:
    """The first tokens of ``n`` of the IMDB training reviews, in random order."""
    (texts, labels), _ = load_imdb(data)
    order = np.random.default_rng(seed).permutation(len(texts))[:n]
    cut = [" ".join(tokenize(text)[:n_tokens]) for text in texts[order]]
    return np.array(cut, dtype=object), labels[order]


def seeded_reviews(n: int, n_tokens: int, seed: int) -> Reviews:
    """``n`` random texts of up to ``n_tokens`` tokens, half of them "positive"."""
    rng = np.random.default_rng(seed)
    words = _vocabulary(seed)
    shares = (np.arange(1, N_WORDS + 1) + ZIPF_SHIFT) ** -ZIPF_EXPONENT
    labels = rng.permutation(np.arange(n) % 2).astype(np.float32)
    texts = np.empty(n, dtype=object)
    for i, label in enumerate(labels):
        length = min(n_tokens, math.ceil(rng.lognormal(*LOG_LENGTH)))
        ranks = rng.choice(N_WORDS, length, p=shares / shares.sum())
        opinions = rng.integers(N_OPINIONS, size=len(ranks[::OPINION_EVERY]))
        sides = (label == 1) == (rng.random(len(opinions)) < HONESTY)
        # Words of medium frequency: one half positive, the other negative.
        ranks[::OPINION_EVERY] = 100 + opinions + N_OPINIONS * sides
        texts[i] = " ".join(words[rank] for rank in ranks)
    return texts, labels


def _vocabulary(seed: int) -> list[str]:
    """Distinct words; the first, which are frequent, tend to be short."""
    rng = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < N_WORDS:
        length = 1 + int(rng.expovariate(1) + 0.6 * math.log(1 + len(words)))
        words["".join(rng.choices(string.ascii_lowercase, k=length))] = None
    return list(words)


def batches(texts: Texts, size: int, n: int) -> Iterator[Texts]:
    """``n`` full batches; after the last text, the first follows again."""
    for start in range(0, n * size, size):
        yield texts[np.arange(start, start + size) % len(texts)]


def short_sentences(texts: Texts, n_tokens: int) -> Texts:
    """The first ``n_tokens`` tokens of each text that is long enough."""
    starts = [text.split(" ")[:n_tokens] for text in texts]
    return np.array([" ".join(s) for s in starts if len(s) == n_tokens], dtype=object)


def random_letters(n: int, seed: int) -> Texts:
    """Sentences of 1 to 30 random words of 1 to 20 letters."""
    rng = random.Random(seed)
    sentences = [
        " ".join(
            "".join(rng.choices(string.ascii_letters, k=rng.randint(1, 20)))
            for _ in range(rng.randint(1, 30))
        )
        for _ in range(n)
    ]
    return np.array(sentences, dtype=object)


def count_tokens(texts: Iterable[str]) -> int:
    return sum(len(text.split()) for text in texts)
