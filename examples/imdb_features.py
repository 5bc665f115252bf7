"""Features once, a classifier on top: what a frozen ELMo knows about sentiment.

The pooled layers of each IMDB review are computed in one pass, into files, where an
interrupted run goes on. A linear classifier on top of them is found in seconds, its penalty
chosen on reviews that are held out from training::

    python examples/imdb_features.py aclImdb_v1.tar.gz
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from arguments import blaming
from imdb_data import DataError, load_imdb
from imdb_sentiment import prepared, shuffled
from keras import layers
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, SourceError, compute_features
from keras_elmo.text.reviews import Reviews

VALIDATION_PART = 0.1
PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
FACTORS = (1.0, 2.0, 3.0, 4.0, 6.0)

Floats = NDArray[np.float32]
Features = tuple[Floats, Floats]
"""Vectors (n, features) and labels (n,)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Computes features, trains a classifier and tests it.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    with blaming(parser, "--source", SourceError):
        layer = ElmoEmbeddingLayer(args.source, output_mode="pooled_layers")
    with blaming(parser, "DATA", DataError, OSError):
        parts = load_imdb(args.data)
    reviews, test_reviews = (
        prepared(shuffled(part, args.limit, args.seed), args.words) for part in parts
    )
    with blaming(parser, "--output", ValueError, OSError):
        args.output.mkdir(parents=True, exist_ok=True)
        every = features(layer, reviews, args.output / "train.npy")
        test = features(layer, test_reviews, args.output / "test.npy")
    n_validation = max(1, round(VALIDATION_PART * len(reviews[0])))
    validation, training = divided(every, n_validation)
    classifier, validation_accuracy = train(training, validation)
    test_accuracy = accuracy_of(classifier, test)
    print(f"Validation accuracy: {validation_accuracy:.4f}")
    print(f"Test accuracy: {test_accuracy:.4f} on {len(test[0]):,} reviews")
    numbers: dict[str, Any] = {
        "validation_accuracy": validation_accuracy,
        "test_accuracy": test_accuracy,
    }
    if args.json is not None:
        args.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Classify IMDB reviews by the pooled layers of a frozen ELMo."
    )
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB)",
    )
    add("--source", default="mini", help="the ELMo model (default: %(default)s)")
    add(
        "--words",
        type=int,
        default=150,
        help="words to keep of a review (default: %(default)s)",
    )
    add("--limit", type=int, metavar="N", help="at most N reviews in each half")
    add("--seed", type=int, default=0, help="makes a run repeatable (default: %(default)s)")
    add(
        "--output",
        type=Path,
        default=Path("imdb_features_output"),
        metavar="DIR",
        help="where the features go (default: %(default)s)",
    )
    add("--json", type=Path, metavar="FILE", help="write the accuracies to a file")
    return parser


def accuracy_of(classifier: keras.Model, data: Features) -> float:
    """The share of features that are classified rightly."""
    positive = classifier.predict(data[0], batch_size=1024, verbose=0)[:, 0] >= 0.5
    return float(np.mean(positive == (data[1] == 1)))


def divided(data: Any, n_validation: int) -> tuple[Any, Any]:
    """Divides inputs and labels into the first ones and the others."""
    inputs, labels = data
    return (
        (inputs[:n_validation], labels[:n_validation]),
        (inputs[n_validation:], labels[n_validation:]),
    )


def features(layer: ElmoEmbeddingLayer, reviews: Reviews, path: Path) -> Features:
    """Computes the pooled layers of reviews.

    Args:
        layer: With the output mode ``"pooled_layers"``.
        reviews: Texts and labels.
        path: The file for them, where an interrupted run goes on.

    Returns:
        The layers one beside the other, and the labels. The token vectors, which the
        layer gives twice, are taken once.
    """
    texts, labels = reviews
    pooled = compute_features(layer, texts, path)  # (n, n_layers + 1, size)
    flat = np.asarray(pooled).reshape(len(texts), -1)  # (n, (n_layers + 1) * size)
    return flat[:, layer.output_dim // 2 :], labels


def train(training: Features, validation: Features) -> tuple[keras.Model, float]:
    """Trains a linear classifier by ridge regression, in closed form.

    Args:
        training: Features and labels to train on.
        validation: Features and labels to choose the penalty by.

    Returns:
        The classifier, from features to probabilities, and its validation accuracy.
    """
    mean, scale = training[0].mean(axis=0), training[0].std(axis=0) + 1e-6
    x, test_x = ((part[0] - mean) / scale for part in (training, validation))
    targets, test_targets = (2 * part[1] - 1 for part in (training, validation))
    gram = x.T.astype(np.float64) @ x  # (features, features)
    correlations = x.T.astype(np.float64) @ targets  # (features,)
    best, best_accuracy = np.zeros(len(gram)), -1.0
    for penalty in PENALTIES:
        weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), correlations)
        accuracy = float(np.mean((test_x @ weights > 0) == (test_targets > 0)))
        if accuracy > best_accuracy:
            best, best_accuracy = weights, accuracy
    # Regression aims at -1 and 1; as the logits of probabilities they are too small.
    margins = test_targets * (test_x @ best)  # (n,)
    factor = min(FACTORS, key=lambda c: np.mean(np.logaddexp(0, -c * margins)))
    kernel = factor * best / scale  # (features,)
    inputs = keras.Input((len(kernel),))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(inputs))
    model.set_weights([kernel[:, None], -np.atleast_1d(mean @ kernel)])
    return model, best_accuracy


if __name__ == "__main__":
    raise SystemExit(main())
