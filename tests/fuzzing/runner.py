"""Gives damaged files to a process that may crash, hang or grow, and counts the results."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzzing.target import (
    DATA,
    EQUAL,
    ERROR,
    Files,
    Target,
    WrongContentError,
    read_files,
    write_files,
)
from tests.memory import growth

SECONDS_TO_START = 300.0
SECONDS_FOR_A_FILE = 20.0
MOST_BYTES = 256 << 20  # that a file of a few kilobytes may take


@dataclasses.dataclass
class Figures:
    """How many files had each result; number, kind and text of each wrong one."""

    counts: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    failures: list[tuple[int, str, str]] = dataclasses.field(default_factory=list)
    slowest: float = 0.0  # seconds that a file took

    def add(self, index: int, kind: str, text: str, seconds: float) -> None:
        self.counts[kind] += 1
        self.slowest = max(self.slowest, seconds)
        if kind not in (EQUAL, DATA, ERROR):
            self.failures.append((index, kind, text))

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(self.counts.items()))
        return f"{self.counts.total()} files: {counts}; slowest {self.slowest:.2f} s"


class Runner(contextlib.AbstractContextManager["Runner"]):
    """A process that reads files, replaced when a file ends it."""

    def __init__(self) -> None:
        self._process: Any = None

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, target: str, seed: int, start: int, n_files: int) -> Figures:
        """Reads the files ``start`` to ``start + n_files`` that a seed gives a target."""
        figures, stop = Figures(), start + n_files
        while start < stop:
            if self._process is None:
                self._start()
            self._connection.send((target, seed, start, stop))
            reading = None
            while start < stop:
                limit = SECONDS_TO_START if reading is None else SECONDS_FOR_A_FILE
                kind, message = "crash", None
                with contextlib.suppress(EOFError):
                    kind = "hang"
                    if self._connection.poll(limit):
                        kind = "crash"
                        message = self._connection.recv()
                if isinstance(message, int):
                    reading = message
                elif message is not None:
                    figures.add(*message)
                    start = message[0] + 1
                else:
                    code = self._stop()
                    if reading is None:
                        raise RuntimeError(f"{target}: the process ended early ({code}).")
                    figures.add(reading, kind, f"exit status {code}", limit)
                    start = reading + 1
                    break
        return figures

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        self._connection.close()
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()
        code: int | None = process.exitcode
        return code


def _work(connection: Connection) -> None:
    """Reads files in a process of its own, and reports each before and after reading."""
    import faulthandler

    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    faulthandler.enable()
    import tensorflow as tf

    from tests.fuzzing import targets

    tf.constant(0)
    # A large allocation becomes an error.
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (4 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        while True:
            name, seed, start, stop = connection.recv()
            _read_all(targets()[name], seed, range(start, stop), connection)
    except (EOFError, BrokenPipeError):
        os._exit(0)  # without waiting for the threads of the libraries


def _read_all(target: Target, seed: int, indices: range, connection: Connection) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        good, bad = Path(scratch, "good"), Path(scratch, "bad")
        good.mkdir()
        target.make(good)
        shutil.copytree(good, bad)
        expected = target.read(bad)
        assert target.judge(expected, expected) == EQUAL
        for index in indices:
            shutil.rmtree(bad)
            bad.mkdir()
            write_files(bad, spoiled(target, good, seed, index))
            connection.send(index)
            start = time.perf_counter()
            (kind, text), n_bytes = growth(lambda: _outcome(target, bad, expected))
            seconds = time.perf_counter() - start
            if n_bytes > MOST_BYTES:
                kind, text = "memory", f"{n_bytes:,} bytes, then {kind} {text}"
            connection.send((index, kind, text[:600], seconds))


def spoiled(target: Target, folder: Path, seed: int, index: int) -> Files:
    """The damaged files of one number, made from the good ones in a folder."""
    return target.spoil(read_files(folder), random.Random(f"{target.name} {seed} {index}"))


def _outcome(target: Target, folder: Path, expected: Any) -> tuple[str, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return target.judge(expected, target.read(folder)), ""
    except target.errors as error:
        text = f"{type(error).__name__}: {error}"
        if str(folder) not in text:
            return "names no file", text
        return (ERROR if len(text) < 5000 else "talks too much"), text
    except WrongContentError as error:
        return "wrong", str(error)
    except MemoryError as error:
        return "memory", str(error)
    except Exception as error:
        return "undocumented", f"{type(error).__name__}: {error}"
