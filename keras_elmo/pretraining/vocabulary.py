"""The words that a language model predicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from keras_elmo.types import PathLike
from keras_elmo.weights.atomic import replacing
from keras_elmo.weights.word_list import read_words

BEGIN_SENTENCE = "<S>"
END_SENTENCE = "</S>"
UNKNOWN = "<UNK>"
SPECIAL_WORDS = (BEGIN_SENTENCE, END_SENTENCE, UNKNOWN)


class Vocabulary:
    """Words and their ids, the most frequent first.

    The vocabulary limits what a model predicts, not what it reads: a biLM reads characters.
    As in bilm-tf, its file has one word per line, sorted by frequency. Sampling by rank
    relies on this order.

    Args:
        words: The words, with the three special ones ``<S>``, ``</S>`` and ``<UNK>``.

    Raises:
        ValueError: A special word is missing, or a word is empty or repeated.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: i for i, word in enumerate(self.words)}
        if missing := [word for word in SPECIAL_WORDS if word not in self._ids]:
            raise ValueError(
                f"words: expected {', '.join(SPECIAL_WORDS)} and then the words from the "
                f"most to the least frequent; {', '.join(missing)} is missing from "
                f"{len(self.words):,} words that start with {list(self.words[:3])!s:.100}."
            )
        if len(self._ids) != len(self.words) or "" in self._ids:
            wrong = next((w for w, n in Counter(self.words).items() if n > 1), "")
            raise ValueError(f"words: {wrong!r} is empty or repeated.")

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], size: int | None = None, min_count: int = 1
    ) -> Self:
        """Takes the most frequent words; code points order equally frequent ones.

        Args:
            counts: How often each word occurs, from :func:`count_words`.
            size: The number of words, with the three special words; ``None`` for all.
            min_count: Leave out words that occur less often.

        Raises:
            ValueError: ``size`` leaves no room for other than the special words.
        """
        if size is not None and size <= len(SPECIAL_WORDS):
            raise ValueError(f"size must be more than {len(SPECIAL_WORDS)}; got {size}.")
        ranked = sorted(
            (-count, word)
            for word, count in counts.items()
            if count >= min_count and word not in SPECIAL_WORDS
        )
        words = [word for _, word in ranked]
        return cls([*SPECIAL_WORDS, *words][:size])

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Reads a vocabulary file, with one word per line; gzip is fine.

        A line ``!!!MAXTERMID``, as in the vocabulary of the 1 Billion Word Benchmark, is
        not a word.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file is not UTF-8, or not a vocabulary.
        """
        path = Path(path)
        try:
            return cls(read_words(path))
        except ValueError as error:
            raise ValueError(f"{str(path)!r} is not a vocabulary: {error}") from error

    def save(self, path: PathLike) -> None:
        """Writes a vocabulary file."""
        with replacing(path) as written:
            written.write_text("\n".join(self.words) + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, words: Iterable[str]) -> NDArray[np.int32]:
        """The ids of n words, int32 (n,); unknown words get the id of ``<UNK>``."""
        unknown = self._ids[UNKNOWN]
        return np.array([self._ids.get(word, unknown) for word in words], np.int32)

    def frequencies(self, counts: Mapping[str, int]) -> NDArray[np.float64]:
        """The share of each word among all targets, float64 (len(self),).

        Words that do not occur count once, so that the logarithm exists.

        Args:
            counts: How often each word occurs, from :func:`count_words`.
        """
        totals = np.array([counts.get(word, 0) for word in self.words], np.float64)
        known = sum(totals)
        totals[self._ids[UNKNOWN]] += sum(counts.values()) - known
        # Both directions predict the words, but only one of them each boundary.
        totals[[self._ids[BEGIN_SENTENCE], self._ids[END_SENTENCE]]] /= 2
        totals = np.where(totals > 0, totals, 1.0)  # (len(self),)
        return totals / totals.sum()


def count_words(sentences: Iterable[Sequence[str]]) -> Counter[str]:
    """Counts words; each sentence adds one ``<S>`` and one ``</S>``."""
    counts: Counter[str] = Counter()
    for words in sentences:
        counts.update(words)
        counts[BEGIN_SENTENCE] += 1
        counts[END_SENTENCE] += 1
    return counts
