"""Arguments that several commands share, and numbers to read."""

from __future__ import annotations

import argparse
from typing import Any

SOURCE = (
    "what ElmoEmbeddingLayer takes: the name of a model (see 'keras-elmo list'), a "
    "directory, .zip archive or .hdf5 file, the directory or .tar.gz archive of a TF1 Hub "
    "module, the directory of a checkpoint of bilm-tf, the URL of such a file, or a handle "
    "on TF-Hub or Kaggle"
)
SPLITS = ("space", "words", "character")
DOWNLOADS = "A model that is not on this machine is downloaded into the cache, once."


class UsageError(Exception):
    """Arguments that do not fit each other."""


def positive_integer(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def add_source(parser: Any, name: str = "source", text: str = SOURCE, **more: Any) -> None:
    action = parser.add_argument(name, metavar="SOURCE", help=text, **more)
    action.completer = _complete_source  # for argcomplete


def _complete_source(prefix: str, **_: object) -> list[str]:
    from argcomplete.completers import FilesCompleter

    from keras_elmo.weights.named_models import MODELS

    names = [name for name in MODELS if name.startswith(prefix)]
    return [*names, *FilesCompleter()(prefix)]


def add_options(parser: Any, source: str = "SOURCE") -> None:
    parser.add_argument(
        "--options",
        metavar="FILE",
        help=f"the options.json, a path or URL, of a {source} that is an .hdf5 file "
        "(default: the one next to it)",
    )


def add_vocabulary(parser: Any) -> None:
    parser.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="the words that SOURCE predicts, one in a line (default: the file next to it)",
    )


def add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "texts",
        metavar="TEXT",
        nargs="+",
        help="a text file (.gz is unpacked), a directory with *.txt files, or a pattern; "
        "one sentence in a line; or another format, see --format",
    )


FORMATS = ("text", "jsonl", "csv", "tsv", "fasta", "conllu", "conll")


def add_format(parser: Any, name: str) -> None:
    parser.add_argument(
        "--format",
        choices=FORMATS,
        dest="input_format",
        help=f"what {name} holds (default: what its suffix says, else text)",
    )
    parser.add_argument(
        "--column",
        metavar="NAME",
        help="the field of JSON lines or CSV that is the text; or the column of CoNLL-U "
        "(FORM by default) or CoNLL with the words, by name or number",
    )


def add_split(parser: Any, default: str | None, text: str) -> None:
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default=default,
        help="split sentences at white space; or raw text into words and punctuation "
        f"marks, or into characters (default: {text})",
    )


def add_flag(parser: Any, *names: str, **more: Any) -> None:
    parser.add_argument(*names, action="store_true", **more)


def add_json(parser: Any) -> None:
    add_flag(parser, "--json", dest="as_json", help="print JSON")


def add_quiet(parser: Any) -> None:
    add_flag(parser, "-q", "--quiet", help="print nothing if all is well")


def add_number(parser: Any, name: str, default: int, text: str) -> None:
    parser.add_argument(
        name,
        type=positive_integer,
        default=default,
        metavar="N",
        help=f"{text} (default: {default})",
    )


def add_choice(parser: Any, name: str, choices: tuple[str, ...], **more: Any) -> None:
    more["help"] += f" (default: {choices[0]})"
    parser.add_argument(name, choices=choices, default=choices[0], **more)


def counted(number: int, noun: str) -> str:
    """``1 sentence``, ``2,000 sentences``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
