"""Gives damaged files to a process that may crash, hang or grow, and counts what came."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parents[2]
RIGHT = ("equal", "data", "error")
SECONDS_TO_START = 300.0
SECONDS_FOR_A_FILE = 20.0


@dataclasses.dataclass
class Figures:
    """What came of the files of a target.

    Attributes:
        counts: How many files ended in what.
        failures: The number, the kind and the text of each that is not right.
        slowest: The seconds that the slowest file took.
    """

    counts: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    failures: list[tuple[int, str, str]] = dataclasses.field(default_factory=list)
    slowest: float = 0.0

    def add(self, index: int, what: str, text: str = "", seconds: float = 0.0) -> None:
        """Counts a file."""
        self.counts[what] += 1
        self.slowest = max(self.slowest, seconds)
        if what not in RIGHT:
            self.failures.append((index, what, text))

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items()))
        return f"{self.counts.total()} files: {counts}; slowest {self.slowest:.2f} s"


class Runner:
    """A process that reads files, replaced where one ends it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._messages: queue.Queue[Any] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def run(self, target: str, seed: int, start: int, n_files: int) -> Figures:
        """Has files read.

        Args:
            target: The name of the target.
            seed: What the files depend on, besides their number.
            start: The number of the first.
            n_files: How many.
        """
        figures = Figures()
        stop = start + n_files
        while start < stop:
            start = self._run(figures, target, seed, start, stop)
        return figures

    def _run(self, figures: Figures, target: str, seed: int, start: int, stop: int) -> int:
        """Has files read until all are, or one ends the process; says which is next."""
        process = self._process or self._start()
        order = {"target": target, "seed": seed, "start": start, "stop": stop}
        assert process.stdin is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        begun = None
        while True:
            seconds = SECONDS_TO_START if begun is None else SECONDS_FOR_A_FILE
            try:
                message = self._messages.get(timeout=seconds)
            except queue.Empty:
                message = {"hangs": True}
            if "done" in message:
                return stop
            if "begun" in message:
                begun = message["begun"]
            elif "index" in message:
                figures.add(**message)
            else:
                code = self._stop()
                if begun is None:
                    raise RuntimeError(
                        f"{target}: the process ended before a file ({code})."
                    )
                kind = "hang" if "hangs" in message else "crash"
                figures.add(begun, kind, f"exit status {code}")
                return int(begun) + 1

    def _start(self) -> subprocess.Popen[str]:
        paths = [str(ROOT), str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        }
        self._messages = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzzing.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        listener = threading.Thread(
            target=_listen, args=(self._process.stdout, self._messages), daemon=True
        )
        listener.start()
        return self._process

    def _stop(self) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None
        process.stdin.close()
        try:
            code = process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        assert process.stdout is not None
        process.stdout.close()
        return code


def _listen(stream: IO[str], messages: queue.Queue[Any]) -> None:
    for line in stream:
        messages.put(json.loads(line))
    messages.put({"ended": True})
