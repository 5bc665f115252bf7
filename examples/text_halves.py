"""Film reviews cut in two: pairs of texts that are known to belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from imdb_data import DataError, load_imdb, plain_text
from text_vectors import Floats
from word_senses_text import split_sentences

from keras_elmo import ElmoEmbeddingLayer, compute_features, tokenize
from keras_elmo.text.reviews import load_reviews

LEAST_TOKENS = 8
"""Of a half: "Avoid !" may be the end of many reviews."""

LEAST_REVIEWS = 4

LEAST_IN_SENTENCE, MOST_IN_SENTENCE = 4, 40
"""Tokens of a sentence that is worth finding."""

Pair = tuple[Floats, Floats]
"""What is computed of first halves and of second ones, (n, ...) each."""


class Halves(NamedTuple):
    """Two parts of each of some reviews, with a space between words and marks.

    Attributes:
        first: How the reviews begin.
        second: How they go on, in the same order.
    """

    first: list[str]
    second: list[str]

    def part(self, start: int, stop: int | None = None) -> Halves:
        """The halves of some of the reviews, by their places."""
        return Halves(self.first[start:stop], self.second[start:stop])

    def without_capitals(self) -> Halves:
        """The same without the tokens that begin with a capital: no names are left."""
        return Halves(*(list(map(_without_capitals, part)) for part in self))


def _without_capitals(text: str) -> str:
    return " ".join(token for token in text.split() if not token[0].isupper())


def read_halves(
    data: str | None, n_reference: int, n_test: int, n_words: int, seed: int
) -> tuple[Halves, Halves]:
    """Reads reviews and cuts them in two.

    Args:
        data: The IMDB reviews, as :func:`imdb_data.load_imdb` takes them; ``None`` for
            the few reviews that come with keras-elmo.
        n_reference: How many reviews of the training half to take at most.
        n_test: How many of the test half, which has other films.
        n_words: How many words to take of each.
        seed: Of the choice, and of the order.

    Returns:
        The halves of both, in random order. Reviews that cannot be cut are left out.

    Raises:
        DataError: The reviews are not there, or fewer than 4 of them can be cut.
    """
    (reference, _), (test, _) = load_reviews() if data is None else load_imdb(data)
    random = np.random.default_rng(seed)
    return (
        _halves(list(reference), n_reference, n_words, random),
        _halves(list(test), n_test, n_words, random),
    )


def _halves(
    reviews: Sequence[str], limit: int, n_words: int, random: np.random.Generator
) -> Halves:
    reviews = list(dict.fromkeys(reviews))  # some come twice
    pairs: list[tuple[str, str]] = []
    for i in random.permutation(len(reviews)):
        pair = halve(reviews[i], n_words)
        pairs += [pair] if pair else []
        if len(pairs) == limit:
            break
    if len(pairs) < LEAST_REVIEWS:
        raise DataError(
            f"{len(pairs)} of {len(reviews):,} reviews have two sentences or more, with "
            f"{LEAST_TOKENS} tokens in each half, in their first {n_words} words; "
            f"{LEAST_REVIEWS} are needed. Take longer ones, or more words of them."
        )
    return Halves([first for first, _ in pairs], [second for _, second in pairs])


def halve(review: str, n_words: int) -> tuple[str, str] | None:
    """Cuts the beginning of a review between two sentences, near its middle.

    Args:
        review: Plain text.
        n_words: How many words of it to take, where white space separates words.

    Returns:
        Both halves, tokens with spaces between them; ``None`` if one of them would have
        fewer than 8 tokens.
    """
    beginning = " ".join(plain_text(review).split()[:n_words])
    sentences = [tokenize(sentence) for sentence in split_sentences(beginning)]
    ends = np.cumsum([len(sentence) for sentence in sentences])  # (sentences,)
    if len(ends) < 2:
        return None
    cut = 1 + int(np.argmin(np.abs(2 * ends[:-1] - ends[-1])))
    halves = [[t for s in part for t in s] for part in (sentences[:cut], sentences[cut:])]
    if min(map(len, halves)) < LEAST_TOKENS:
        return None
    first, second = map(" ".join, halves)
    return first, second


def sentences_of(halves: Halves, limit: int) -> list[str]:
    """The different sentences of reviews, at most ``limit``, of 4 to 40 tokens each."""
    texts = [text for pair in zip(*halves, strict=True) for text in pair]
    found = dict.fromkeys(s for text in texts for s in split_sentences(text))
    fitting = (LEAST_IN_SENTENCE <= len(s.split()) <= MOST_IN_SENTENCE for s in found)
    return [s for s, fits in zip(found, fitting, strict=True) if fits][:limit]


def half_features(layer: ElmoEmbeddingLayer, halves: Halves, path: Path) -> Pair:
    """Computes the pooled layers of all halves.

    Args:
        layer: With the output mode ``"pooled_layers"``.
        halves: The halves of n reviews.
        path: The file for them, where an interrupted run goes on.

    Returns:
        Those of the first halves and of the second ones, (n, n_layers + 1, D) each.

    Raises:
        ValueError: The file is of something else.
        OSError: The file cannot be written.
    """
    features = compute_features(layer, [*halves.first, *halves.second], path)
    both = np.asarray(features)  # (2 * n, n_layers + 1, D)
    return both[: len(halves.first)], both[len(halves.first) :]
