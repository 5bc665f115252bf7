"""Finds the occurrences of a word in the sentences of reviews."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from keras_elmo import tokenize
from keras_elmo.text import load_reviews
from keras_elmo.text.imdb import load_imdb

# Longer sentences are mostly lists, or text without punctuation.
MAX_TOKENS = 60
NO_WORD = "(none)"
"""Stands for the missing neighbor at the start or end of a sentence."""

# A sentence ends after a mark and closing quotes and brackets, unless a lowercase letter
# follows. The frequent abbreviations before names are exceptions.
TITLE = "".join(rf"(?<!\b{title})" for title in ("Mr", "Mrs", "Ms", "Dr"))
END = re.compile(rf"({TITLE}[.!?]+['\")\]]*)\s+(?=[^\sa-z])")


class Occurrence(NamedTuple):
    """A word, by its position among the tokens of its sentence."""

    tokens: tuple[str, ...]
    position: int

    def neighbor(self, offset: int) -> str:
        """The token at an offset, in lowercase; -1 is the one on the left."""
        i = self.position + offset
        return self.tokens[i].lower() if 0 <= i < len(self.tokens) else NO_WORD

    def replaced(self, offset: int, token: str) -> Occurrence:
        """A copy with another token at an offset; 0 replaces the word itself."""
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
    """The distinct sentences of reviews; by default, of those that come with the package.

    From IMDB it takes the test half, which "mini" was not trained on.
    """
    halves = load_reviews() if data is None else load_imdb(data)[1:]
    reviews = [text for texts, _ in halves for text in texts]
    return list(dict.fromkeys(s for review in reviews for s in split_sentences(review)))


def split_sentences(review: str) -> list[str]:
    marked = END.sub(r"\1\n", review)
    return [sentence for sentence in marked.split("\n") if sentence]


def find_occurrences(sentences: Iterable[str], word: str) -> list[Occurrence]:
    """All occurrences of a token in sentences of up to 60 tokens; case matters."""
    # The cheap test first: most sentences need not be tokenized.
    candidates = (tuple(tokenize(s)) for s in sentences if word in s)
    return [
        Occurrence(tokens, i)
        for tokens in candidates
        if len(tokens) <= MAX_TOKENS
        for i, token in enumerate(tokens)
        if token == word
    ]


def sample(occurrences: Sequence[Occurrence], limit: int, seed: int) -> list[Occurrence]:
    """Chooses at most ``limit`` at random, and keeps their order."""
    if len(occurrences) <= limit:
        return list(occurrences)
    chosen = random.Random(seed).sample(range(len(occurrences)), limit)
    return [occurrences[i] for i in sorted(chosen)]


def characteristic(
    inside: Sequence[Occurrence], outside: Sequence[Occurrence], offset: int, n: int
) -> list[tuple[str, float, float]]:
    """The neighbors at an offset that distinguish some occurrences from others.

    Returns at most ``n``, with their shares inside and outside, largest difference first.
    """
    here, there = (
        Counter(o.neighbor(offset) for o in group) for group in (inside, outside)
    )
    shares = [
        (word, count / len(inside), there[word] / max(len(outside), 1))
        for word, count in here.items()
    ]
    more = [entry for entry in shares if entry[1] > entry[2]]
    return sorted(more, key=lambda entry: (entry[2] - entry[1], entry[0]))[:n]
