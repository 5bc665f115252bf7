"""The library's own exceptions."""

from __future__ import annotations

from typing import NamedTuple


class SourceError(ValueError):
    """A source of ELMo weights cannot be found, read or trusted.

    The message names the source, what was expected, what was found and what to
    do. Nothing has been loaded and nothing half-written is left behind when it is
    raised.
    """


class DamagedSourceError(SourceError):
    """A file is cut or damaged: if it was downloaded, doing so again may help."""


class VerificationError(SourceError):
    """The layer does not compute what a module's own graph computes."""


class WorkerLostError(RuntimeError):
    """Another worker that takes part in a training has ended or does not answer."""


class BadLine(NamedTuple):
    """A line that cannot be embedded as it is.

    Attributes:
        line: Its number, from 1.
        problem: What is wrong with it.
    """

    line: int
    problem: str


class BadLinesError(ValueError):
    """Lines that cannot be embedded, with ``on_error="fail"``.

    Attributes:
        bad_lines: The first 20 of them.
        n_bad_lines: How many there are.
    """

    def __init__(self, bad_lines: list[BadLine], n_bad_lines: int) -> None:
        self.bad_lines = bad_lines
        self.n_bad_lines = n_bad_lines
        told = "".join(f"\nline {line}: {problem}" for line, problem in bad_lines)
        if n_bad_lines > len(bad_lines):
            told += f"\nand {n_bad_lines - len(bad_lines):,} more, of which the log tells"
        super().__init__(
            "corpus: lines cannot be embedded as they are. Mend them, or choose "
            f"on_error='repair' or 'skip'.{told}"
        )


class NotFiniteError(ValueError):
    """A vector that cannot be kept: infinite, not a number, or too large."""


class RefusedEmbeddingsError(ValueError):
    """A file of embeddings is damaged, or may do harm; the message names it."""


class DiskFullError(OSError):
    """The disk has not enough room; what is done is kept, to go on from there."""
