"""What files are read to, whatever their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Record(NamedTuple):
    """A text as it was found; bytes that are not UTF-8 are surrogates in it."""

    number: int  # of the line where it begins, or the position in a collection, from 1
    text: str
    problem: str | None = None
    id: str | None = None  # in the kinds of files that name their texts


Records = Callable[[], Iterator[Record]]  # reads them from the beginning
