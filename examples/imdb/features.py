"""Classifies IMDB reviews with a linear classifier on the features of a frozen ELMo.

The pooled layers of all reviews are computed in one pass and written to files; an
interrupted run resumes. Ridge regression then finds the classifier in seconds::

    python examples/imdb/features.py aclImdb_v1.tar.gz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.text.imdb import load_imdb

PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)

Floats = NDArray[np.floating]


def main() -> None:
    args = make_parser().parse_args()
    layer = ElmoEmbeddingLayer(args.source, "pooled_layers", split="words")
    reviews = load_imdb(args.data)
    args.output.mkdir(parents=True, exist_ok=True)
    halves = []
    for name, (texts, labels) in zip(("train", "test"), reviews, strict=True):
        order = np.random.default_rng(args.seed).permutation(len(texts))[: args.limit]
        cut = [" ".join(text.split()[: args.words]) for text in texts[order]]
        pooled = compute_features(layer, cut, args.output / f"{name}.npy")
        flat = np.asarray(pooled).reshape(len(order), -1)  # (n, (n_layers + 1) * D)
        # Layer 0 holds the token vector twice: drop one of them.
        halves.append((flat[:, layer.output_dim // 2 :], 2 * labels[order] - 1))
    (x, y), test = halves  # features (n, features), and -1 or 1 (n,)
    n_validation = max(1, round(len(x) / 10))
    validation = x[:n_validation], y[:n_validation]
    weights, bias = ridge_regression(x[n_validation:], y[n_validation:], validation)
    print(f"Validation accuracy: {accuracy(weights, bias, *validation):.4f}")
    found = accuracy(weights, bias, *test)
    print(f"Test accuracy: {found:.4f} on {len(test[0]):,} reviews")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Classify IMDB reviews by the pooled layers of a frozen ELMo.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("--source", default="mini", help="the ELMo model")
    add("--words", type=int, default=150, help="words to keep of a review")
    add("--limit", type=int, metavar="N", help="at most N reviews of each half")
    add("--seed", type=int, default=0, help="seed of the reviews' order")
    add("--output", type=Path, default=Path("imdb_features_output"), metavar="DIR")
    return parser


def ridge_regression(
    x: Floats, y: Floats, validation: tuple[Floats, Floats]
) -> tuple[Floats, float]:
    """Fits a linear classifier to features (n, features) and labels (n,) of -1 or 1.

    The penalty is the one that is best on the validation pair. Returns weights (features,)
    and a bias.
    """
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6  # (features,)
    x = ((x - mean) / scale).astype(np.float64)
    gram, correlations = x.T @ x, x.T @ y  # (features, features), (features,)
    found: list[tuple[Floats, float]] = []
    for penalty in PENALTIES:
        weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), correlations) / scale
        found.append((weights, float(y.mean() - mean @ weights)))
    return max(found, key=lambda each: accuracy(each[0], each[1], *validation))


def accuracy(weights: Floats, bias: float, x: Floats, y: Floats) -> float:
    """The share of features (n, features) that are classified correctly."""
    return float(np.mean((x @ weights + bias > 0) == (y > 0)))


if __name__ == "__main__":
    main()
