"""How well first halves find their second halves, by the vectors of both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from text_halves import Halves
from text_vectors import Floats, unit

N_CANDIDATES = 100
"""Among so many second halves each first half looks for its own."""


class Retrieval(NamedTuple):
    """Where the own second half stands among all candidates, those most similar first.

    Attributes:
        recall_at_1: The share of first halves for which it is the first.
        recall_at_10: The share for which it is among the first ten.
        reciprocal_rank: The mean of 1 / rank.
    """

    recall_at_1: float
    recall_at_10: float
    reciprocal_rank: float


def cosines(first: Floats, second: Floats, n_candidates: int = N_CANDIDATES) -> Floats:
    """The similarities of first halves and candidates.

    The reviews are divided into groups of ``n_candidates``, in their order; those behind
    the last whole group are left out. Fewer reviews than that are one group.

    Args:
        first: The vectors of the first halves, (n, features).
        second: Those of the second halves, (n, features), in the same order.
        n_candidates: How many second halves each first half is compared with.

    Returns:
        (groups, candidates, candidates): the cosine similarity of each first half, along
        the second axis, and each second half of its group. Their own are the diagonals.
    """
    size = min(n_candidates, len(first))
    n_groups = len(first) // size
    a, b = (
        unit(vectors[: n_groups * size]).reshape(n_groups, size, -1)
        for vectors in (first, second)
    )  # (groups, candidates, features)
    return a @ b.transpose(0, 2, 1)  # (groups, candidates, candidates)


def ranks(similarities: Floats) -> Floats:
    """The place of each first half's own second half, 1 for the most similar one.

    Args:
        similarities: (..., candidates, candidates), as :func:`cosines` gives them.

    Returns:
        (..., candidates). Among equally similar ones it is their mean place, so that it
        does not pay to find all alike.
    """
    own = np.diagonal(similarities, axis1=-2, axis2=-1)[..., None]  # (..., candidates, 1)
    higher = np.sum(similarities > own, axis=-1)  # (..., candidates)
    equal = np.sum(similarities == own, axis=-1)  # (..., candidates), itself included
    return 1 + higher + (equal - 1) / 2


def retrieval(similarities: Floats) -> Retrieval:
    """Measures how well halves are found, by similarities as :func:`cosines` gives them."""
    places = ranks(similarities)
    return Retrieval(
        recall_at_1=float(np.mean(places <= 1)),
        recall_at_10=float(np.mean(places <= 10)),
        reciprocal_rank=float(np.mean(1 / places)),
    )


def print_table(rows: Mapping[str, Retrieval]) -> None:
    """Prints the measures of each row."""
    print(f"\n{'':<44}{'recall@1':>10}{'recall@10':>11}{'MRR':>8}")
    for name, found in rows.items():
        print(f"{name:<44}{found[0]:>10.3f}{found[1]:>11.3f}{found[2]:>8.3f}")


def save_numbers(
    rows: Mapping[str, Retrieval],
    path: Path,
    history: Mapping[str, list[float]] | None = None,
) -> None:
    """Writes the measures of each row as JSON, and those of each epoch of a training."""
    numbers: dict[str, Any] = {name: found._asdict() for name, found in rows.items()}
    if history is not None:
        numbers["history"] = dict(history)
    path.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def tfidf_cosines(
    halves: Halves, reference: Halves, n_candidates: int = N_CANDIDATES
) -> Floats:
    """Similarities by words in common, weighed as search engines do: TF-IDF.

    Args:
        halves: The halves of n reviews.
        reference: Other halves, by which frequent words are known.
        n_candidates: As for :func:`cosines`.

    Returns:
        (groups, candidates, candidates), as from :func:`cosines`.
    """
    vectorizer = tfidf([*reference.first, *reference.second, *halves.second])
    first, second = map(vectorizer.transform, halves)  # (n, words), sparse
    size = min(n_candidates, len(halves.first))
    starts = range(0, len(halves.first) - size + 1, size)
    return np.stack(
        [(first[i : i + size] @ second[i : i + size].T).toarray() for i in starts]
    )  # (groups, candidates, candidates)


def tfidf(texts: Sequence[str]) -> Any:
    """A fitted vectorizer of scikit-learn. A word counts by the logarithm of its number."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True).fit(texts)
