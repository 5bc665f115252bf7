"""How well an n-gram model predicts the text that ELMo "mini" is measured on.

The model is the interpolated one with modified Kneser-Ney smoothing of Chen and Goodman,
"An Empirical Study of Smoothing Techniques for Language Modeling" (Harvard University,
TR-10-98, 1998), the best of those compared there. It predicts what the biLM does: each
word, ``<UNK>`` for those that are not in the vocabulary, and the end of each review::

    python examples/mini_ngram.py imdb_text vocabulary.txt --order 3
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from arguments import blaming
from numpy.typing import NDArray
from tqdm import tqdm

from keras_elmo.pretraining.sentences import read_sentences
from keras_elmo.pretraining.vocabulary import (
    BEGIN_SENTENCE,
    END_SENTENCE,
    UNKNOWN,
    Vocabulary,
)

MAX_ORDER = 5
# For n-grams of which too few are rare to estimate discounts from, as the words of a
# vocabulary that has only frequent ones. Any will do that are neither 0 nor large.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

Booleans = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.float64]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the perplexities of the held-out text, for each order up to the given one.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    with blaming(parser, "VOCABULARY", OSError, ValueError):
        vocabulary = Vocabulary.load(args.vocabulary)
    with blaming(parser, "TEXT_DIR", OSError, ValueError):
        heldout = read_text(args.text_dir, "heldout.txt", vocabulary)
        training = read_text(args.text_dir, "train-*.txt", vocabulary)
    unknown = np.mean(heldout.words == vocabulary.ids([UNKNOWN]))
    print(f"Training: {training}. Held out: {heldout}, {unknown:.2%} of them {UNKNOWN}.")
    begin, end = vocabulary.ids([BEGIN_SENTENCE, END_SENTENCE]).tolist()
    forward = perplexities(training, heldout, len(vocabulary), args.order, begin, end)
    training, heldout = training.reversed(), heldout.reversed()
    backward = perplexities(training, heldout, len(vocabulary), args.order, end, begin)
    print("Perplexity:\norder    forward   backward")
    for order, values in enumerate(zip(forward, backward, strict=True), start=1):
        print(f"{order:5}" + "".join(f" {value:10,.2f}" for value in values))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Print the perplexity of Kneser-Ney n-gram models on held-out text."
    )
    parser.add_argument(
        "text_dir",
        type=Path,
        metavar="TEXT_DIR",
        help="the directory with heldout.txt and train-*.txt, as mini_prepare.py writes it",
    )
    parser.add_argument(
        "vocabulary",
        type=Path,
        metavar="VOCABULARY",
        help="the file with the words that are predicted, one in a line, the most "
        "frequent first: <S>, </S>, <UNK>, and so on",
    )
    parser.add_argument(
        "--order",
        type=int,
        choices=range(1, MAX_ORDER + 1),
        default=3,
        help="length of the longest n-grams (default: %(default)s); 3 takes some 2 GB of "
        "memory, 5 some 4 GB",
    )
    return parser


@dataclasses.dataclass(frozen=True)
class Text:
    """Sentences as numbers.

    Attributes:
        words: The ids of all words, one sentence after the other, (words,).
        lengths: The number of words of each sentence, (sentences,).
    """

    words: Integers
    lengths: Integers

    def __str__(self) -> str:
        return f"{len(self.lengths):,} sentences, {len(self.words):,} words"

    def reversed(self) -> Text:
        """The same text read from its end, the last sentence first."""
        return Text(self.words[::-1], self.lengths[::-1])


def read_text(folder: Path, pattern: str, vocabulary: Vocabulary) -> Text:
    """Reads text files, one sentence in a line.

    Args:
        folder: Where they are.
        pattern: Their names, ``"train-*.txt"``.
        vocabulary: Gives the words' ids.

    Returns:
        All of their sentences, in the order of the names.

    Raises:
        ValueError: There are none, or one has a sentence boundary as a word.
    """
    paths = sorted(folder.glob(pattern))
    sentences = read_sentences(paths) if paths else ()
    progress = tqdm(sentences, desc=f"Reading {pattern}", unit=" sentences")
    ids = [vocabulary.ids(words) for words in progress]  # (sentences,) of (words,)
    if not ids:
        raise ValueError(f"there is no text in {str(folder / pattern)!r}")
    words = np.concatenate(ids)  # (words,)
    # A boundary as a word would be predicted in places where the model excludes it.
    marks = [BEGIN_SENTENCE, END_SENTENCE]
    if np.isin(words, vocabulary.ids(marks)).any():
        raise ValueError(f"{str(folder / pattern)!r} has one of the words {marks}")
    return Text(words, np.array([len(sentence) for sentence in ids]))


def perplexities(
    training: Text, heldout: Text, vocabulary_size: int, order: int, begin: int, end: int
) -> list[float]:
    """Measures the models of all orders in one direction.

    Args:
        training: The text to count in.
        heldout: The text to predict.
        vocabulary_size: Number of words, the boundaries included.
        order: The highest order.
        begin: The id of the boundary before a sentence, which is not predicted.
        end: The id of the boundary behind it, which is.

    Returns:
        The perplexities of orders 1, 2 ... ``order``.
    """
    model = KneserNey(*padded(training, order, begin, end), vocabulary_size, order)
    probabilities = model.probabilities(*padded(heldout, order, begin, end))
    return [float(x) for x in np.exp(-np.mean(np.log(probabilities), axis=1))]


def padded(text: Text, order: int, begin: int, end: int) -> tuple[Integers, Booleans]:
    """Puts boundaries around sentences, so many that each word has a full history.

    Args:
        text: The sentences.
        order: Length of the n-grams: ``order - 1`` boundaries come before a sentence.
        begin: The id of the boundaries before a sentence.
        end: The id of the one behind it.

    Returns:
        All tokens in order, int32 (tokens,), and which of them are predicted, (tokens,).
    """
    sizes = text.lengths + order  # (sentences,)
    ends = np.cumsum(sizes) - 1  # (sentences,)
    begins = (ends - sizes)[:, None] + np.arange(1, order)  # (sentences, order - 1)
    is_target = np.ones(sizes.sum(), bool)  # (tokens,)
    is_target[begins] = False
    is_word = is_target.copy()  # (tokens,)
    is_word[ends] = False
    tokens = np.full(len(is_target), begin, np.int32)  # (tokens,)
    tokens[is_word] = text.words
    tokens[ends] = end
    return tokens, is_target


class KneserNey:
    """Interpolated Kneser-Ney models of orders 1 to ``order``, modified discounts.

    The probability of a word w after a history h, with h' for h without its first word::

        p(w | h) = max(c(h w) - D(c(h w)), 0) / sum_v c(h v)  +  left(h) p(w | h')

    ``left(h)`` is what the discounts D took away, so that the sum over w is 1. In the
    highest order c counts how often an n-gram occurs, in those below how many different
    words it occurs after. Below the words alone there is an equal share for each word
    but one: the boundary before a sentence is never predicted. A history that never
    occurs leaves everything to the shorter one.

    An n-gram is known by its id, its place among the sorted keys of its length. Its key
    is made of the id of its first n - 1 words and of its last word, and so never exceeds
    64 bits, however long it is.

    Args:
        tokens: The ids of the words to count in, (tokens,).
        is_target: Which of them are predicted, (tokens,). The ``order - 1`` tokens before
            each of those are its history.
        vocabulary_size: Number of words.
        order: Length of the longest n-grams.
    """

    def __init__(
        self, tokens: Integers, is_target: Booleans, vocabulary_size: int, order: int
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self._keys: list[Integers] = []  # of each length: (n-grams,)
        self._occurring: list[_Discounted] = []
        self._following: list[_Discounted] = []
        # The n-gram that ends at each token; at first it is empty.
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
        """Predicts each target from the tokens before it.

        Args:
            tokens: The ids of words, (tokens,).
            is_target: Which of them to predict, (tokens,). ``order - 1`` tokens or more
                must come before each.

        Returns:
            The probabilities (order, targets): a row for the model of each order.
        """
        ids: Integers = np.zeros(len(tokens), np.int64)  # (tokens,)
        lower = np.array(1 / (self.vocabulary_size - 1))  # the 0-gram model's: ()
        rows = []
        for n, keys in enumerate(self._keys):
            histories = np.roll(ids, 1)[is_target]  # (targets,)
            ids = _find(keys, self._make_keys(ids, tokens))  # (tokens,)
            ngrams = ids[is_target]  # (targets,)
            rows.append(self._occurring[n].interpolate(ngrams, histories, lower))
            if n < len(self._following):
                lower = self._following[n].interpolate(ngrams, histories, lower)
        return np.stack(rows)  # (order, targets)

    def _make_keys(self, shorter: Integers, tokens: Integers) -> Integers:
        """Lengthens the n-grams that end before each token by that token."""
        # The first token gets the last one's n-gram. It is no target, or the n-grams are
        # empty and all the same.
        # An id of -1 gives a key below 0, which is none.
        return np.roll(shorter, 1) * self.vocabulary_size + tokens  # (tokens,)

    def _discounted(self, counts: Integers) -> _Discounted:
        """Discounts counts of the longest n-grams so far."""
        n_histories = len(self._keys[-2]) if len(self._keys) > 1 else 1
        return _Discounted(counts, self._keys[-1] // self.vocabulary_size, n_histories)


def _find(keys: Integers, wanted: Integers) -> Integers:
    """The place of each wanted key, -1 for those that are not there."""
    places = np.searchsorted(keys, wanted)  # (wanted,)
    places = np.minimum(places, len(keys) - 1)  # (wanted,)
    return np.where(keys[places] == wanted, places, -1)  # (wanted,)


class _Discounted:
    """The discounted counts of all n-grams of one length.

    Args:
        counts: A count for each n-gram, (n-grams,).
        histories: The id of each n-gram's history, (n-grams,).
        n_histories: Number of histories.
    """

    def __init__(self, counts: Integers, histories: Integers, n_histories: int) -> None:
        discounts = np.array([0.0, *estimate_discounts(counts)])[np.minimum(counts, 3)]
        totals = np.bincount(histories, counts, n_histories)  # (histories,)
        taken = np.bincount(histories, discounts, n_histories)  # (histories,)
        # The last entries are found with -1, the id of what never occurred.
        self._shares = np.zeros(len(counts) + 1)
        self._left = np.ones(n_histories + 1)
        shares, left = self._shares[:-1], self._left[:-1]
        np.divide(counts - discounts, totals[histories], out=shares, where=counts > 0)
        np.divide(taken, totals, out=left, where=totals > 0)

    def interpolate(self, ngrams: Integers, histories: Integers, lower: Floats) -> Floats:
        """Fills with the lower order's probabilities what the discounts left.

        Args:
            ngrams: The ids of n-grams (targets,), -1 for those that never occurred.
            histories: The ids of their histories (targets,), or -1.
            lower: The probabilities of their last words in the lower order, (targets,).

        Returns:
            The probabilities of their last words, (targets,).
        """
        return self._shares[ngrams] + self._left[histories] * lower  # (targets,)


def estimate_discounts(counts: Integers) -> tuple[float, float, float]:
    """The discounts of counts 1, 2, and 3 or more, as Chen and Goodman estimate them.

    Args:
        counts: The counts of all n-grams of one length.

    Returns:
        From the numbers of n-grams with counts 1 to 4; :data:`FALLBACK_DISCOUNTS` where
        there are none of one of these, or too few for all discounts to be positive.
    """
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if n1 and n2 and n3 and n4:
        y = n1 / (n1 + 2 * n2)
        discounts = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        if min(discounts) > 0:
            return discounts
    return FALLBACK_DISCOUNTS


if __name__ == "__main__":
    raise SystemExit(main())
