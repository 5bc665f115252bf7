"""Exceptions and warnings of the library."""

from __future__ import annotations

from typing import NamedTuple


class SourceError(ValueError):
    """A source of ELMo weights cannot be found, read or trusted.

    The message names the source, what was expected, what was found and what to do. No
    unfinished files are left.
    """


class DamagedSourceError(SourceError):
    """A file is cut or damaged: if it was downloaded, doing so again may help."""


class VerificationError(SourceError):
    """The layer does not compute what a module's own graph computes."""


class BadLine(NamedTuple):
    """A line of a file, or a text of a collection, that cannot be read unchanged.

    Attributes:
        line: The number of the line, or the position in the collection, from 1.
        problem: What is wrong with it.
        place: Its location, such as ``"'news.txt', line 3"`` or ``"texts[2]"``.
    """

    line: int
    problem: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.place or f'line {self.line}'}: {self.problem}"


class BadLinesError(ValueError):
    """Lines cannot be read unchanged, and ``on_error`` is ``"fail"``.

    Attributes:
        bad_lines: The first 20 of them.
        n_bad_lines: The number of all bad lines.
    """

    def __init__(self, bad_lines: list[BadLine], n_bad_lines: int) -> None:
        self.bad_lines = bad_lines
        self.n_bad_lines = n_bad_lines
        listed = "".join(f"\n{bad}" for bad in bad_lines)
        if n_bad_lines > len(bad_lines):
            listed += f"\nand {n_bad_lines - len(bad_lines):,} more, which the log lists"
        super().__init__(
            "Texts cannot be read as they are. Correct them, or choose on_error='repair' "
            f"or 'skip'.{listed}"
        )


class NotFiniteError(ValueError):
    """A vector cannot be stored: infinite, not a number, or too large."""


class RefusedEmbeddingsError(ValueError):
    """A file of embeddings is damaged or unsafe to read."""


class InputTip(UserWarning):
    """Sentences are probably not in the form that the layer expects.

    Each tip appears once in a process. To turn them off:
    ``warnings.simplefilter("ignore", keras_elmo.errors.InputTip)``.
    """


class DiskFullError(OSError):
    """The disk does not have enough space; finished work is kept, and can be resumed."""
