"""Halves of film reviews, and the retrieval of second halves by first halves."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from keras_elmo import ElmoEmbeddingLayer, compute_features, tokenize
from keras_elmo.text import load_reviews
from keras_elmo.text.imdb import load_imdb

sys.path.append(str(Path(__file__).parents[1] / "word_senses"))  # shared with it

from occurrences import split_sentences

N_CANDIDATES = 100
"""The number of second halves among which each first half looks for its own."""

LEAST_TOKENS = 8
"""The minimum for a half: "Avoid !" can be the end of many reviews."""

Floats = NDArray[np.floating[Any]]
Pair = tuple[Floats, Floats]
"""Vectors of the first and the second halves, (n, ...) each, in the same order."""


class Halves(NamedTuple):
    """The halves of reviews, with spaces between the tokens."""

    first: list[str]
    second: list[str]


class Retrieval(NamedTuple):
    """How often a review's own second half is the most similar, or among the first ten."""

    recall_at_1: float
    recall_at_10: float
    reciprocal_rank: float


def make_parser(description: str) -> argparse.ArgumentParser:
    """The arguments of both programs."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("--source", default="mini", help="the ELMo model")
    add("--limit", type=int, default=5000, help="reviews for reference")
    add("--test", type=int, default=1000, help="reviews to test with")
    add("--seed", type=int, default=0, help="seed of the sample and the order")
    add("--output", type=Path, default=Path("text_halves_output"), metavar="DIR")
    return parser


def read_halves(args: argparse.Namespace) -> tuple[Halves, Halves]:
    """Reference reviews of the training half, and test reviews of other films."""
    parts = load_imdb(args.data) if args.data else load_reviews()
    random = np.random.default_rng(args.seed)
    both = []
    for (reviews, _), limit in zip(parts, (args.limit, args.test), strict=True):
        different = list(dict.fromkeys(reviews))  # some reviews occur twice
        cut = (halve(different[i]) for i in random.permutation(len(different)))
        pairs = [*islice((pair for pair in cut if pair), limit)]
        both.append(Halves([a for a, _ in pairs], [b for _, b in pairs]))
    return both[0], both[1]


def halve(review: str, n_words: int = 150) -> tuple[str, str] | None:
    """Cuts the start of a review between the two sentences nearest to its middle.

    Spaces separate the tokens. Returns ``None`` if a half is too short.
    """
    beginning = " ".join(review.split()[:n_words])
    sentences = [tokenize(sentence) for sentence in split_sentences(beginning)]
    ends = np.cumsum([len(sentence) for sentence in sentences])  # (sentences,)
    if len(ends) < 2:
        return None
    cut = 1 + int(np.argmin(np.abs(2 * ends[:-1] - ends[-1])))
    first, second = ([*chain(*part)] for part in (sentences[:cut], sentences[cut:]))
    if min(len(first), len(second)) < LEAST_TOKENS:
        return None
    return " ".join(first), " ".join(second)


def sentences_of(halves: Halves, limit: int = 2000) -> list[str]:
    """The distinct sentences of 4 to 40 tokens."""
    texts = [text for pair in zip(*halves, strict=True) for text in pair]
    found = dict.fromkeys(s for text in texts for s in split_sentences(text))
    return [s for s in found if 4 <= len(s.split()) <= 40][:limit]


def half_features(layer: ElmoEmbeddingLayer, halves: Halves, path: Path) -> Pair:
    """The pooled layers of both halves, (n, n_layers + 1, D) each, kept in a file."""
    both = np.asarray(compute_features(layer, [*halves.first, *halves.second], path))
    return both[: len(halves.first)], both[len(halves.first) :]


def similarities(first: Any, second: Any) -> Floats:
    """Cosines of first and second halves (n, features) within groups of 100 reviews.

    Returns (groups, candidates, candidates), with the halves of the same review on the
    diagonals. An incomplete last group is left out, unless it is the only one.
    """
    n_reviews = first.shape[0]
    size = min(N_CANDIDATES, n_reviews)
    groups = [slice(i, i + size) for i in range(0, n_reviews - size + 1, size)]
    return np.stack([cosine_similarity(first[g], second[g]) for g in groups])


def tfidf(texts: Sequence[str]) -> Any:
    """A fitted vectorizer with logarithmic counts."""
    return TfidfVectorizer(sublinear_tf=True).fit(texts)


def tfidf_similarities(test: Halves, reference: Halves) -> Floats:
    """Similarities by common words; frequent words count less."""
    vectorizer = tfidf([*reference.first, *reference.second, *test.second])
    return similarities(*map(vectorizer.transform, test))


def retrieval(similar: Floats) -> Retrieval:
    """Measures similarities (groups, candidates, candidates).

    Ties get their mean rank, so that equal similarities for all do not score.
    """
    own = np.diagonal(similar, axis1=1, axis2=2)[..., None]  # (groups, candidates, 1)
    higher = np.sum(similar > own, axis=-1)  # (groups, candidates)
    equal = np.sum(similar == own, axis=-1)  # (groups, candidates), itself included
    ranks = 1 + higher + (equal - 1) / 2
    return Retrieval(
        float(np.mean(ranks <= 1)), float(np.mean(ranks <= 10)), float(np.mean(1 / ranks))
    )


def print_table(rows: Mapping[str, Retrieval]) -> None:
    print(f"\n{'':<44}{'recall@1':>10}{'recall@10':>11}{'MRR':>8}")
    for name, found in rows.items():
        print(f"{name:<44}{found[0]:>10.3f}{found[1]:>11.3f}{found[2]:>8.3f}")


def plot(panels: Mapping[str, Floats], path: Path) -> None:
    """Draws histograms of similarities: halves of the same review, and of others."""
    figure, every_axes = plt.subplots(
        1, len(panels), figsize=(11, 3.6), squeeze=False, layout="constrained"
    )
    for axes, (name, similar) in zip(every_axes[0], panels.items(), strict=True):
        own = np.eye(similar.shape[-1], dtype=bool)  # (candidates, candidates)
        bins = np.linspace(similar.min(), similar.max(), 51)
        for kind, chosen in (("other reviews", ~own), ("the same review", own)):
            values = similar[:, chosen].ravel()  # (pairs,)
            shares = np.full(len(values), 1 / len(values))
            axes.hist(values, bins, weights=shares, alpha=0.6, label=f"of {kind}")
        axes.set(title=name, xlabel="cosine similarity of two halves", yticks=[])
    every_axes[0][0].set_ylabel("share of the pairs")
    every_axes[0][0].legend()
    figure.savefig(path, dpi=100)
