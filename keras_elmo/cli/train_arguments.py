"""The arguments of ``keras-elmo train`` and ``keras-elmo evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from keras_elmo.cli.shared_arguments import (
    DOWNLOADS,
    SOURCE,
    Add,
    add_json,
    add_quiet,
    positive_integer,
    run_on_input,
)


def _train(**arguments: Any) -> None:
    from keras_elmo.cli.train import train_model

    run_on_input(train_model, arguments)


def _evaluate(**arguments: Any) -> None:
    from keras_elmo.cli.train import show_perplexity

    run_on_input(show_perplexity, arguments)


def add_train(add: Add) -> None:
    """Adds ``train``."""
    train = add(
        "train",
        _train,
        "train a model on text files",
        "DIR then is a source like any other. It also keeps what is needed to go on after "
        f"an interruption (--resume) or on other texts (--init DIR). {DOWNLOADS}",
    )
    _add_texts(train)
    train.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the model goes"
    )
    train.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="JSON: 'model', the content of an options.json, for a new model, and "
        "'training', the settings of keras_elmo.pretraining.TrainingConfig",
    )
    train.add_argument(
        "--init", metavar="SOURCE", help=f"go on from a trained model: {SOURCE}"
    )
    train.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="the words to predict, one in a line (default: those of --init if it has any, "
        "else the most frequent of the texts)",
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on where an earlier run into DIR stopped, if there was one",
    )
    train.add_argument(
        "--tensorboard", action="store_true", help="write logs to DIR/tensorboard"
    )
    add_quiet(train)


def add_evaluate(add: Add) -> None:
    """Adds ``evaluate``."""
    evaluate = add(
        "evaluate",
        _evaluate,
        "compute a model's perplexity on text files",
        "The model needs the softmax that it was trained with, as 'keras-elmo train' "
        "writes it; released models come without.",
    )
    evaluate.add_argument("source", metavar="SOURCE", help=SOURCE)
    _add_texts(evaluate)
    evaluate.add_argument(
        "--sentence-state",
        choices=("reset", "carried"),
        default="reset",
        help="begin each sentence in the zero state, as the layer does, or in the state "
        "that the sentence before it ended in, as bilm-tf does (default: %(default)s)",
    )
    evaluate.add_argument(
        "--batch-size",
        type=positive_integer,
        default=32,
        metavar="N",
        help="rows of text to compute at once (default: %(default)s)",
    )
    add_json(evaluate)


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "texts",
        metavar="TEXT",
        nargs="+",
        help="a text file (.gz is unpacked), a directory with *.txt files, or a pattern; "
        "one sentence in a line, its words separated by spaces",
    )
