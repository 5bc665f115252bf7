"""The library's own exceptions, and its warning."""

from __future__ import annotations

from typing import NamedTuple


class SourceError(ValueError):
    """A source of ELMo weights cannot be found, read or trusted.

    The message names the source, what was expected, what was found and what to do. Nothing
    has been loaded, and nothing half-written is left behind.
    """


class DamagedSourceError(SourceError):
    """A file is cut or damaged: if it was downloaded, doing so again may help."""


class VerificationError(SourceError):
    """The layer does not compute what a module's own graph computes."""


class BadLine(NamedTuple):
    """A line of a file, or a text of a collection, that cannot be read as it is.

    Attributes:
        line: The number of the line, or the position in the collection, from 1.
        problem: What is wrong with it.
        place: Where it is, such as ``"'news.txt', line 3"`` or ``"texts[2]"``.
    """

    line: int
    problem: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.place or f'line {self.line}'}: {self.problem}"


class BadLinesError(ValueError):
    """There are lines that cannot be read as they are, with ``on_error="fail"``.

    Attributes:
        bad_lines: The first 20 of them.
        n_bad_lines: How many there are.
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
    """A vector that cannot be kept: infinite, not a number, or too large."""


class RefusedEmbeddingsError(ValueError):
    """A file of embeddings is damaged, or may do harm; the message names it."""


class InputTip(UserWarning):
    """Sentences are read as they are, and probably mean something else.

    Each tip is given once in a process. To turn them off:
    ``warnings.simplefilter("ignore", keras_elmo.errors.InputTip)``.
    """


class DiskFullError(OSError):
    """The disk has not enough room; what is done is kept, to continue from there."""
