"""What the command lines of the examples share."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def blaming(
    parser: argparse.ArgumentParser, argument: str, *errors: type[Exception]
) -> Iterator[None]:
    """Ends the program with status 2 and a line that names an argument, if it is wrong.

    Args:
        parser: The command line.
        argument: The argument that the code in this context works on, as users write it.
        *errors: What it raises if the argument is wrong.
    """
    try:
        yield
    except errors as error:
        parser.error(f"argument {argument}: {error}")


def require(
    parser: argparse.ArgumentParser, *packages: str, extra: str = "examples"
) -> None:
    """Ends the program if what it needs is not there, before it has computed anything.

    Args:
        parser: The command line.
        *packages: Packages of an extra of keras-elmo, as they are imported.
        extra: Its name.
    """
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError as error:
            parser.error(
                f'{name} cannot be imported ({error}): pip install "keras-elmo[{extra}]"'
            )


def integer_from(lowest: int) -> Callable[[str], int]:
    """A parser of whole numbers that are not below ``lowest``."""
    highest = 2**31 - 1  # TensorFlow counts in int32

    def parse(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {lowest} to {highest}, not {text!r}"
            )
        return int(text)

    return parse


def not_empty(text: str) -> str:
    """A text of the command line, if there is one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text
