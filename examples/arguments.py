"""What the command lines of the examples share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
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
