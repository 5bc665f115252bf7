"""What the arguments of several subcommands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from keras_elmo.errors import InputError

SOURCE = (
    "what ElmoEmbeddingLayer takes: the name of a model (see 'keras-elmo list'), a "
    "directory, .zip archive or .hdf5 file, the directory or .tar.gz archive of a TF1 Hub "
    "module, the URL of such a file, or a handle on TF-Hub or Kaggle"
)
DOWNLOADS = "What is not on this machine yet is downloaded into the cache, once."
EXIT_CODES = (
    "Exit codes: 0, all is well; 1, an error, told on one line of stderr or more; 2, the "
    "arguments are wrong."
)

Add = Callable[..., argparse.ArgumentParser]
"""Adds a subcommand; see :func:`add_command`."""


def positive_integer(text: str) -> int:
    """A whole number from 1, as the type of an argument."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def add_command(
    commands: Any, name: str, run: Any, summary: str, more: str = ""
) -> argparse.ArgumentParser:
    """Adds a subcommand.

    Args:
        commands: What ``add_subparsers`` gave.
        name: Of the subcommand.
        run: Called with its arguments.
        summary: One line on what it does.
        more: The rest of its description.

    Returns:
        Its parser.
    """
    description = f"{summary[0].upper()}{summary[1:]}. {more}"
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=EXIT_CODES
    )
    parser.set_defaults(run=run)
    return parser


def add_json(parser: Any) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")


def add_quiet(parser: Any) -> None:
    """Adds ``--quiet``."""
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing where all is well"
    )


def run_on_input(run: Callable[..., int | None], arguments: dict[str, Any]) -> int | None:
    """Turns what is wrong with the user's files into an error of the command."""
    try:
        return run(**arguments)
    except (ValueError, ImportError, FloatingPointError) as error:
        raise InputError(str(error)) from error
