"""The sentences of reviews that have a word, and where in them it stands."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from imdb_data import load_imdb, plain_text

from keras_elmo import tokenize
from keras_elmo.text.reviews import load_reviews

# Longer ones are mostly lists, or text whose sentences do not end in marks.
MAX_TOKENS = 60
NO_WORD = "(none)"
"""Stands for the neighbour of a word that begins or ends its sentence."""

# A sentence ends behind a mark, and the quotes and brackets that it closes, unless a small
# letter goes on. That leaves abbreviations before names, of which these are the frequent.
_TITLE = "".join(rf"(?<!\b{title})" for title in ("Mr", "Mrs", "Ms", "Dr"))
_END = re.compile(rf"({_TITLE}[.!?]+['\")\]]*)\s+(?=[^\sa-z])")


class Occurrence(NamedTuple):
    """A word in its sentence.

    Attributes:
        tokens: Those of the sentence.
        position: That of the word among them, from 0.
    """

    tokens: tuple[str, ...]
    position: int

    def neighbour(self, offset: int) -> str:
        """The token at a distance, in small letters: -1 for the one on the left."""
        i = self.position + offset
        return self.tokens[i].lower() if 0 <= i < len(self.tokens) else NO_WORD

    def replaced(self, offset: int, token: str) -> Occurrence:
        """The same with another token at a distance; at 0, in place of the word."""
        i = self.position + offset
        return self._replace(tokens=(*self.tokens[:i], token, *self.tokens[i + 1 :]))

    def context(self, n_tokens: int) -> str:
        """The word in brackets, between up to ``n_tokens`` tokens on each side."""
        i = self.position
        start, end = max(0, i - n_tokens), i + 1 + n_tokens
        before, after = self.tokens[start:i], self.tokens[i + 1 : end]
        parts = ["..."] * (start > 0) + [*before, f"[{self.tokens[i]}]", *after]
        return " ".join(parts + ["..."] * (end < len(self.tokens)))


def read_sentences(data: str | None) -> list[str]:
    """Reads reviews and takes them apart into sentences.

    Args:
        data: The IMDB reviews, as :func:`imdb_data.load_imdb` takes them; ``None`` for
            the few reviews that come with keras-elmo.

    Returns:
        The different sentences in their order. Of the IMDB reviews, those of the 25,000
        in the test half, which "mini" was not trained on.

    Raises:
        DataError: The reviews are not there.
    """
    if data is None:
        (texts, _), (others, _) = load_reviews()
        reviews = [*texts, *others]
    else:
        _, (texts, _) = load_imdb(data)
        reviews = list(texts)
    # Some reviews come twice.
    return list(dict.fromkeys(s for review in reviews for s in split_sentences(review)))


def split_sentences(review: str) -> list[str]:
    """Takes a review apart into sentences, as plain text."""
    marked = _END.sub(r"\1\n", " ".join(plain_text(review).split()))
    return [sentence for sentence in marked.split("\n") if sentence]


def find_occurrences(sentences: Iterable[str], word: str) -> list[Occurrence]:
    """Finds a word, spelled with the same capitals.

    Args:
        sentences: Plain text.
        word: A token, as :func:`keras_elmo.tokenize` gives them.

    Returns:
        All occurrences in sentences of up to 60 tokens, one after the other.
    """
    # Most sentences need not be taken apart.
    candidates = (tuple(tokenize(s)) for s in sentences if word in s)
    return [
        Occurrence(tokens, i)
        for tokens in candidates
        if len(tokens) <= MAX_TOKENS
        for i, token in enumerate(tokens)
        if token == word
    ]


def sample(occurrences: Sequence[Occurrence], limit: int, seed: int) -> list[Occurrence]:
    """Chooses at most ``limit`` at random, in their order; the same for the same seed."""
    if len(occurrences) <= limit:
        return list(occurrences)
    chosen = random.Random(seed).sample(range(len(occurrences)), limit)
    return [occurrences[i] for i in sorted(chosen)]


def characteristic(
    inside: Sequence[Occurrence], outside: Sequence[Occurrence], offset: int, n: int
) -> list[tuple[str, float, float]]:
    """The neighbours that tell some occurrences from others.

    Args:
        inside: The ones.
        outside: The others.
        offset: Where the neighbours stand: -1 for the left ones, 1 for the right ones.
        n: How many to tell at most.

    Returns:
        Neighbours with their shares, from 0 to 1, inside and outside, those with the
        largest difference first.
    """
    shares = []
    for group in (inside, outside):
        counts = Counter(occurrence.neighbour(offset) for occurrence in group)
        shares.append({word: k / len(group) for word, k in counts.items()})
    here, there = shares
    found = [(word, share, there.get(word, 0.0)) for word, share in here.items()]
    found = [entry for entry in found if entry[1] > entry[2]]
    return sorted(found, key=lambda entry: (entry[2] - entry[1], entry[0]))[:n]
