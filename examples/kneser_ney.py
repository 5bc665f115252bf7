"""N-gram models with modified Kneser-Ney smoothing, for mini_ngram.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# For n-grams of which too few are rare to estimate discounts from, as the words of a
# vocabulary that has only frequent ones. Any will do that are neither 0 nor large.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

Booleans = NDArray[np.bool_]
Integers = NDArray[np.integer]
Floats = NDArray[np.float64]


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
