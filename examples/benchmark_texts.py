"""The texts that benchmark.py gives to each implementation."""

from __future__ import annotations

import math
import random
import string
from collections.abc import Iterator, Sequence

import numpy as np
from imdb_data import load_imdb, plain_text
from imdb_sentiment import shuffled
from numpy.typing import NDArray

from keras_elmo import tokenize
from keras_elmo.text.reviews import Reviews

Texts = NDArray[np.object_]
"""Sentences (n,) of ``str``, whose tokens are separated by spaces."""

# These make texts like the IMDB reviews in the lengths of reviews and the number of
# distinct words in a batch, on which an encoder of distinct words depends.
N_WORDS = 20_000
ZIPF_SHIFT, ZIPF_EXPONENT = 3, 1.15
LOG_LENGTH = (5.38, 0.64)  # mean and standard deviation

# In reviews made by code every so manieth token tells of the label, mostly the right one.
OPINION_EVERY, N_OPINIONS, HONESTY = 12, 20, 0.8

LONGEST_WORD, LONGEST_SENTENCE = 20, 30  # of random letters


def real_reviews(data: str, n: int, n_tokens: int, seed: int) -> Reviews:
    """Reads some of the IMDB training reviews.

    Args:
        data: As for :func:`imdb_data.load_imdb`.
        n: How many at most, half of them positive.
        n_tokens: How many tokens to keep of a review.
        seed: The same seed gives the same order.

    Returns:
        Texts and labels in random order.

    Raises:
        DataError: The reviews are not there.
    """
    texts, labels = shuffled(load_imdb(data)[0], n, seed)
    cut = [" ".join(tokenize(plain_text(text))[:n_tokens]) for text in texts]
    return np.array(cut, dtype=object), labels


def seeded_reviews(n: int, n_tokens: int, seed: int) -> Reviews:
    """Makes texts of which half are "positive".

    Args:
        n: How many.
        n_tokens: How many tokens to keep of a review.
        seed: The same seed gives the same reviews.

    Returns:
        Texts and labels in random order.
    """
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
        # Words of no special frequency, the one half positive and the other negative.
        ranks[::OPINION_EVERY] = 100 + opinions + N_OPINIONS * sides
        texts[i] = " ".join(words[rank] for rank in ranks)
    return texts, labels


def _vocabulary(seed: int) -> list[str]:
    """Different words, of which frequent ones, the first, tend to be short."""
    rng = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < N_WORDS:
        length = 1 + int(rng.expovariate(1) + 0.6 * math.log(1 + len(words)))
        words["".join(rng.choices(string.ascii_lowercase, k=length))] = None
    return list(words)


def batches(texts: Texts, size: int) -> Iterator[Texts]:
    """Full batches of texts, which start again at the first where they run out."""
    n = 0
    while True:
        yield texts[np.arange(n, n + size) % len(texts)]
        n += size


def short_sentences(texts: Texts, n_tokens: int) -> Texts:
    """The first tokens of each text that has so many."""
    starts = [text.split(" ")[:n_tokens] for text in texts]
    return np.array([" ".join(s) for s in starts if len(s) == n_tokens], dtype=object)


def random_letters(n: int, seed: int) -> Texts:
    """Sentences of random words: 1 to 30 of them, of 1 to 20 letters each."""
    rng = random.Random(seed)
    sentences = [
        " ".join(
            "".join(rng.choices(string.ascii_letters, k=rng.randint(1, LONGEST_WORD)))
            for _ in range(rng.randint(1, LONGEST_SENTENCE))
        )
        for _ in range(n)
    ]
    return np.array(sentences, dtype=object)


def count_tokens(texts: Sequence[str] | Texts) -> int:
    """How many tokens texts have in all."""
    return sum(len(text.split()) for text in texts)
