"""``keras-elmo substitutes``: the words that a language model expects at each token."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_elmo.cli.arguments import (
    UsageError,
    add_json,
    add_number,
    add_options,
    add_source,
    add_split,
    add_vocabulary,
)

if TYPE_CHECKING:
    from keras_elmo.types import Split

SUMMARY = "list the words that fit in the place of a word"
DETAILS = (
    "For each word of a sentence: the words that the language model expects given the "
    "words before it, those after it, and both. The model needs its softmax, which "
    "'mini' and what 'keras-elmo train' writes have."
)
EXAMPLES = (
    "mini 'The plot of this film is thin.' --word plot",
    "my_elmo 'the cat sat' --split space -n 3 --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_options(parser)
    add_vocabulary(parser)
    parser.add_argument("sentences", metavar="SENTENCE", nargs="+", help="a text in quotes")
    parser.add_argument("--word", help="only for this word (default: for each)")
    add_number(parser, "-n", 10, "how many words to list")
    add_split(parser, "words", "words")
    add_json(parser)


def run(
    source: str,
    sentences: Sequence[str],
    word: str | None,
    n: int,
    split: Split,
    options: str | None,
    vocabulary: str | None,
    as_json: bool,
) -> None:
    from keras_elmo.pretraining import WordPredictor

    predictor = WordPredictor(source, split, options, vocabulary)
    found = [
        [token._asdict() for token in sentence if word is None or token.token == word]
        for sentence in predictor.substitutes(sentences, n)
    ]
    if word is not None and not any(found):
        raise UsageError(f"argument --word: {word!r} is not in the sentence")
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for sentence in found:
        for token in sentence:
            print(f"{token['token']}\n{'both':>14}{'forward':>24}{'backward':>24}")
            columns = (token["both"], token["forward"], token["backward"])
            for row in zip(*columns, strict=True):
                cells = [f"{p:6.1%}  {text:16.30}" for text, p in row]
                print("  " + "".join(cells).rstrip())
