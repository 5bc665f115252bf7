"""Computes the perplexity of n-gram models on the held-out text of ELMo "mini".

The model is interpolated, with the modified Kneser-Ney smoothing of Chen and Goodman, "An
Empirical Study of Smoothing Techniques for Language Modeling" (Harvard University,
TR-10-98, 1998), the best method in their comparison. It predicts what the biLM predicts:
each word, ``<UNK>`` for words outside the vocabulary, and the end of each review::

    python examples/mini/ngram.py imdb_text vocabulary.txt --order 3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

BEGIN, END, UNKNOWN = "<S>", "</S>", "<UNK>"
# For n-grams with too few rare ones to estimate discounts from, such as the words of a
# vocabulary of frequent words. Any values work that are neither 0 nor large.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

Booleans = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Print the perplexity of Kneser-Ney n-gram models on held-out text."
    )
    add = parser.add_argument
    add("text_dir", type=Path, help="the output of prepare.py")
    add("vocabulary", type=Path, help="the words to predict, one per line")
    # Order 3 takes about 2 GB of memory, order 5 about 4 GB.
    add("--order", type=int, choices=range(1, 6), default=3, help="the longest n-grams")
    args = parser.parse_args()
    words = args.vocabulary.read_text("utf-8").split()
    ids = {word: i for i, word in enumerate(words)}
    heldout = read_text([args.text_dir / "heldout.txt"], ids)
    training = read_text(sorted(args.text_dir.glob("train-*.txt")), ids)
    for name, text in (("Training", training), ("Held out", heldout)):
        unknown = np.mean(np.concatenate(text) == ids[UNKNOWN])
        print(f"{name}: {len(text):,} sentences, {unknown:.2%} of the words {UNKNOWN}")
    size, begin, end = len(words), ids[BEGIN], ids[END]
    forward = perplexities(training, heldout, size, args.order, begin, end)
    training, heldout = ([ids[::-1] for ids in text] for text in (training, heldout))
    backward = perplexities(training, heldout, size, args.order, end, begin)
    print("Perplexity:\norder    forward   backward")
    for order, values in enumerate(zip(forward, backward, strict=True), start=1):
        print(f"{order:5}" + "".join(f" {value:10,.2f}" for value in values))


def read_text(paths: Sequence[Path], ids: dict[str, int]) -> list[Integers]:
    """The word ids of each sentence; the files have one sentence per line."""
    sentences: list[Integers] = []
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in tqdm(file, f"Reading {path.name}", unit=" sentences"):
                if words := line.split():
                    found = [ids.get(word, ids[UNKNOWN]) for word in words]
                    sentences.append(np.array(found, np.int32))  # (words,)
    return sentences


def perplexities(
    training: Sequence[Integers],
    heldout: Sequence[Integers],
    vocabulary_size: int,
    order: int,
    begin: int,
    end: int,
) -> list[float]:
    """The perplexities of the models of orders 1 to ``order`` in one direction.

    ``begin`` is the id of the boundary before a sentence, which is not predicted; ``end``
    is that of the boundary after it, which is predicted.
    """
    model = KneserNey(*padded(training, order, begin, end), vocabulary_size, order)
    probabilities = model.probabilities(*padded(heldout, order, begin, end))
    return [float(x) for x in np.exp(-np.mean(np.log(probabilities), axis=1))]


def padded(
    sentences: Sequence[Integers], order: int, begin: int, end: int
) -> tuple[Integers, Booleans]:
    """Puts enough boundaries around sentences to give each word a full history.

    Returns all tokens, int32 (tokens,), and which of them are predicted, (tokens,).
    """
    before, after = np.full(order - 1, begin, np.int32), np.array([end], np.int32)
    rows = [np.concatenate([before, sentence, after]) for sentence in sentences]
    is_target = [np.arange(len(row)) >= order - 1 for row in rows]
    return np.concatenate(rows), np.concatenate(is_target)


class KneserNey:
    """Interpolated Kneser-Ney models of orders 1 to ``order`` with modified discounts.

    The probability of a word w after a history h, where h' is h without its first word::

        p(w | h) = max(c(h w) - D(c(h w)), 0) / sum_v c(h v)  +  left(h) p(w | h')

    ``left(h)`` is the probability that the discounts D removed, so that the sum over w is
    1. In the highest order, c counts how often an n-gram occurs; in lower orders, after how
    many different words it occurs. The 0-gram model gives each word an equal share, except
    the boundary before a sentence, which is never predicted. A history that never occurs
    leaves everything to the shorter one.

    The id of an n-gram is its position among the sorted keys of its length. Its key
    combines the id of its first n - 1 words with its last word, and so fits into 64 bits,
    however long the n-gram is.

    ``tokens`` (tokens,) are the word ids of the text. ``is_target`` (tokens,) marks those
    that are predicted; the ``order - 1`` tokens before each are its history.
    """

    def __init__(
        self, tokens: Integers, is_target: Booleans, vocabulary_size: int, order: int
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self._keys: list[Integers] = []  # of each length: (n-grams,)
        self._occurring: list[_Discounted] = []
        self._following: list[_Discounted] = []
        # The n-gram that ends at each token: empty at first.
        ids: Integers = np.zeros(len(tokens), np.int64)  # (tokens,)
        for _ in range(order):
            shorter = ids
            keys, ids = np.unique(self._make_keys(shorter, tokens), return_inverse=True)
            counts = np.bincount(ids[is_target], minlength=len(keys))  # (n-grams,)
            if self._keys:
                suffixes = np.empty(len(keys), np.int64)  # (n-grams,)
                suffixes[ids] = shorter
                before = np.bincount(suffixes[counts > 0], minlength=len(self._keys[-1]))
                self._following.append(self._discounted(before))
            self._keys.append(keys)
            self._occurring.append(self._discounted(counts))

    def probabilities(self, tokens: Integers, is_target: Booleans) -> Floats:
        """The probabilities of the targets, (order, targets)."""
        ids: Integers = np.zeros(len(tokens), np.int64)  # (tokens,)
        lower = np.array(1 / (self.vocabulary_size - 1))  # the 0-gram model's: ()
        rows = []
        for n, keys in enumerate(self._keys):
            histories = np.roll(ids, 1)[is_target]  # (targets,)
            wanted = self._make_keys(ids, tokens)  # (tokens,)
            places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)  # (tokens,)
            ids = np.where(keys[places] == wanted, places, -1)  # -1: not found
            ngrams = ids[is_target]  # (targets,)
            rows.append(self._occurring[n].interpolate(ngrams, histories, lower))
            if n < len(self._following):
                lower = self._following[n].interpolate(ngrams, histories, lower)
        return np.stack(rows)  # (order, targets)

    def _make_keys(self, shorter: Integers, tokens: Integers) -> Integers:
        """The keys of the n-grams that end before each token, extended by that token."""
        # The first token gets the last one's n-gram: harmless, as it is not a target, or
        # all n-grams are empty. An id of -1 gives a negative key, which does not exist.
        return np.roll(shorter, 1) * self.vocabulary_size + tokens  # (tokens,)

    def _discounted(self, counts: Integers) -> _Discounted:
        n_histories = len(self._keys[-2]) if len(self._keys) > 1 else 1
        return _Discounted(counts, self._keys[-1] // self.vocabulary_size, n_histories)


class _Discounted:
    """The discounted counts of the n-grams of one length."""

    def __init__(self, counts: Integers, histories: Integers, n_histories: int) -> None:
        discounts = np.array([0.0, *estimate_discounts(counts)])[np.minimum(counts, 3)]
        totals = np.bincount(histories, counts, n_histories)  # (histories,)
        taken = np.bincount(histories, discounts, n_histories)  # (histories,)
        # Index -1, the id of n-grams that never occurred, finds the last entry.
        self._shares = np.zeros(len(counts) + 1)
        self._left = np.ones(n_histories + 1)
        shares, left = self._shares[:-1], self._left[:-1]
        np.divide(counts - discounts, totals[histories], out=shares, where=counts > 0)
        np.divide(taken, totals, out=left, where=totals > 0)

    def interpolate(self, ngrams: Integers, histories: Integers, lower: Floats) -> Floats:
        """Distributes what the discounts left by the lower order's probabilities."""
        return self._shares[ngrams] + self._left[histories] * lower  # (targets,)


def estimate_discounts(counts: Integers) -> tuple[float, float, float]:
    """The discounts of counts 1, 2, and 3 or more, as Chen and Goodman estimate them.

    They follow from the numbers of n-grams with counts 1 to 4. If one of these is zero or a
    discount would not be positive, the discounts are fixed.
    """
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if n1 and n2 and n3 and n4:
        y = n1 / (n1 + 2 * n2)
        discounts = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        if min(discounts) > 0:
            return discounts
    return FALLBACK_DISCOUNTS


if __name__ == "__main__":
    main()
