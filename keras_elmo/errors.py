"""The exceptions of the library's own."""

from __future__ import annotations

from pathlib import Path


class SourceError(ValueError):
    """A source of ELMo weights cannot be found, read or trusted.

    The message names the source, what was expected, what was found and what to
    do. Nothing has been loaded and nothing half-written is left behind when it is
    raised.
    """


class DamagedSourceError(SourceError):
    """A file is cut or damaged: where it was downloaded, doing so again may help.

    Attributes:
        path: The file or directory, where the reader knows it and its caller may not.
    """

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class VerificationError(SourceError):
    """The layer does not compute what a module's own graph computes."""


class WorkerLostError(RuntimeError):
    """Another worker that takes part in a training has ended or does not answer."""
