"""``keras-elmo embed``: the sentences of a file, or of standard input, as vectors."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_elmo.cli.info import size_text
from keras_elmo.errors import BadLinesError, DiskFullError
from keras_elmo.vectors.compute import Job
from keras_elmo.vectors.estimate import Estimate, estimate_job
from keras_elmo.vectors.files import check_directory, locked, room
from keras_elmo.vectors.options import Options

UNFINISHED = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def embed(
    corpus: str, out: Path, source: str, dry_run: bool, quiet: bool, **options: Any
) -> int:
    """Embeds a corpus.

    Args:
        corpus: A file, or ``"-"`` for standard input.
        out: The file to write.
        source: As for :func:`~keras_elmo.compute_features`.
        dry_run: Whether to tell what it takes, rather than do it.
        quiet: Whether to print nothing where all is well.
        **options: Those of :func:`~keras_elmo.compute_features`.

    Returns:
        The exit code: 0; 3 if the disk or the memory did not suffice; 128 and the number
        of the signal that ended it. But for 0, the same command goes on where it was.

    Raises:
        ValueError: The arguments, the corpus or ``out`` are wrong.
        OSError: A file cannot be read or written.
        ImportError: A package is not installed.
        SourceError: The source cannot be had.
    """
    try:
        with _signals_as_exceptions(), _as_file(corpus, out) as path:
            job = Job(source, path, out, Options(**options))
            if dry_run:
                print(_text(estimate_job(job)))
                return 0
            job.run(progress=not quiet)
    except (DiskFullError, MemoryError) as error:
        print(f"keras-elmo: stopped: {error}", file=sys.stderr)
        return UNFINISHED
    except BadLinesError as error:
        # The lines have been logged.
        raise ValueError(
            f"{error.n_bad_lines:,} lines of {corpus!r} cannot be embedded as they are. "
            "Mend them, or use --on-error repair or --on-error skip."
        ) from error
    except _SignalReceived as received:
        told = "The same command goes on from here." * (not dry_run)
        print(f"keras-elmo: stopped by {received}. {told}".strip(), file=sys.stderr)
        return 128 + received.number
    if not quiet:
        n_sentences, n_tokens = len(job.corpus.n_tokens), int(job.corpus.n_tokens.sum())
        print(f"{n_sentences:,} sentences of {n_tokens:,} tokens are in {str(out)!r}.")
    return 0


class _SignalReceived(BaseException):
    """In the place of a signal's own effect, so that progress is saved first."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    def receive(number: int, _: object) -> None:
        # A second one ends the process at once, which loses the last seconds only.
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise _SignalReceived(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {each: signal.getsignal(each) for each in _SIGNALS}
    # Jobs in the background ignore some from the beginning.
    before = {each: old for each, old in before.items() if old != signal.SIG_IGN}
    for each in before:
        signal.signal(each, receive)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _as_file(corpus: str, out: Path) -> Iterator[Path]:
    """Keeps standard input in a file beside ``out``: it is read more than once."""
    if corpus != "-":
        yield Path(corpus)
        return
    check_directory(out)
    if sys.stdin is None:
        raise ValueError("INPUT is '-', but standard input is closed. Name a file.")
    path = out.with_name(f"{out.name}.stdin")
    with locked(path):
        try:
            with room(path), path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield path
        finally:
            path.unlink(missing_ok=True)


def _text(estimate: Estimate) -> str:
    rows = {
        "sentences": f"{estimate.n_sentences:,}",
        "tokens": f"{estimate.n_tokens:,}, {estimate.longest:,} in the longest sentence",
        "file": size_text(estimate.n_bytes),
        "room": f"{size_text(estimate.n_bytes_needed)} needed, "
        f"{size_text(estimate.n_bytes_free)} free",
        "rate": f"{estimate.tokens_per_second:,.0f} tokens/s, measured on "
        f"{estimate.n_tokens_sampled:,} here and now",
        "to do": f"{estimate.n_tokens_left:,} tokens",
        "time": _duration(estimate.seconds),
    }
    return "\n".join(f"{name:11}{value}" for name, value in rows.items())


def _duration(seconds: float) -> str:
    """A time as one reads it: ``40 seconds``, ``2 hours 5 minutes``."""
    if seconds < 60:
        return f"{seconds:.0f} seconds"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} minutes"
    return f"{minutes // 60:,} hours {minutes % 60} minutes"
