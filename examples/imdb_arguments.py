"""The command line of imdb_sentiment.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from arguments import integer_from, not_empty
from imdb_strategy import STRATEGIES


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Train a sentiment classifier on ELMo embeddings of film reviews.",
    )
    add = parser.add_argument
    add(
        "sentence",
        nargs="?",
        type=_sentence,
        help="a sentence to classify with the saved model, after training",
    )
    add(
        "--data",
        type=not_empty,
        metavar="PATH",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB); without it, the few reviews that come with keras-elmo",
    )
    add(
        "--source",
        type=not_empty,
        default="mini",
        help="the ELMo model, a name, path or URL as ElmoEmbeddingLayer takes it "
        "(default: mini, which comes with keras-elmo), or 'random' for a small one with "
        "random weights",
    )
    add(
        "--words",
        type=integer_from(1),
        default=150,
        help="words to keep of a review (default: %(default)s)",
    )
    add(
        "--epochs",
        type=integer_from(1),
        help="passes over the reviews (default: 5 with --data, otherwise 30)",
    )
    add(
        "--batch-size",
        type=integer_from(1),
        default=32,
        help="reviews in a batch (default: %(default)s)",
    )
    add(
        "--limit",
        type=integer_from(2),
        metavar="N",
        help="train on at most N reviews and test with at most N, half of them positive",
    )
    add(
        "--fine-tune",
        choices=["aggregation", "lstm", "all"],
        help="what of ELMo is trained: the mix of its layers, its LSTMs too, or all "
        "(default: aggregation, or all where the source is random)",
    )
    add(
        "--learning-rate",
        type=_learning_rate,
        default=1e-3,
        metavar="RATE",
        help="Adam's learning rate (default: %(default)s)",
    )
    add(
        "--accumulate",
        type=integer_from(2),
        metavar="N",
        help="add up the gradients of N batches before each step of training",
    )
    add(
        "--strategy",
        choices=STRATEGIES,
        default="none",
        help="divide each batch among devices of this machine (mirrored, or data-parallel "
        "with KERAS_BACKEND=jax) or among the processes in TF_CONFIG (multi-worker)",
    )
    add(
        "--devices",
        type=integer_from(1),
        metavar="N",
        help="how many devices (default: all GPUs, or 2 parts of the processor)",
    )
    add(
        "--backup",
        type=Path,
        metavar="DIR",
        help="keep each epoch in DIR, and go on there when started again",
    )
    add(
        "--seed",
        type=integer_from(0),
        default=0,
        help="makes a run repeatable (default: %(default)s)",
    )
    add(
        "--output",
        type=Path,
        default=Path("imdb_sentiment_output"),
        metavar="DIR",
        help="where the model, the history and the curves go (default: %(default)s)",
    )
    return parser


def fill_in(args: argparse.Namespace) -> argparse.Namespace:
    """Sets what the command line left open, as far as it depends on other arguments.

    A trained ELMo is used as in the article. Random weights know nothing about
    language: all of them have to be trained. Few reviews need more passes.
    """
    if args.epochs is None:
        args.epochs = 5 if args.data else 30
    if args.fine_tune is None:
        args.fine_tune = "all" if args.source == "random" else "aggregation"
    return args


def _learning_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return rate


def _sentence(text: str) -> str:
    return not_empty(text).strip()
