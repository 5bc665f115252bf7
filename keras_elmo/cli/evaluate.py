"""``keras-elmo evaluate``: the perplexity of a language model on text files."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_elmo.cli.arguments import (
    add_choice,
    add_format,
    add_json,
    add_number,
    add_options,
    add_source,
    add_split,
    add_texts,
    add_vocabulary,
)
from keras_elmo.cli.terminal import is_terminal, print_rows

if TYPE_CHECKING:
    from keras_elmo.pretraining.windows import SentenceState

SUMMARY = "compute a model's perplexity on text files"
DETAILS = (
    "The model needs the softmax that it was trained with, as 'keras-elmo train' writes "
    "it and a checkpoint of bilm-tf has it; released models come without one."
)
EXAMPLES = (
    "my_elmo heldout.txt",
    "mini 'heldout/*.txt' --split words --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_options(parser)
    add_vocabulary(parser)
    add_texts(parser)
    add_format(parser, "TEXT")
    add_split(parser, None, "space, and character for FASTA")
    add_choice(
        parser,
        "--sentence-state",
        ("reset", "carried"),
        help="start each sentence in the zero state, as the layer does, or in the state "
        "that the sentence before it ended in, as bilm-tf does",
    )
    add_number(parser, "--batch-size", 32, "rows of text to compute at once")
    add_json(parser)


def run(
    source: str,
    texts: Sequence[str],
    sentence_state: SentenceState,
    batch_size: int,
    as_json: bool,
    **settings: Any,
) -> None:
    from keras_elmo.pretraining import evaluate

    settings["verbose"] = is_terminal(sys.stderr)
    found = evaluate(source, texts, sentence_state, batch_size, **settings)._asdict()
    if as_json:
        print(json.dumps({"source": source, "perplexity": found}, indent=2))
    else:
        print_rows({name: f"{value:10,.2f}" for name, value in found.items()})
