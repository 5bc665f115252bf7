"""Colors, tables and progress bars in a terminal; plain lines everywhere else."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from keras_elmo.progress import SHOWN_BY

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    r"(?m)^[a-z][a-zA-Z ]*:$|^usage:": "bold",
    r"^keras-elmo[a-z ]*: (error|stopped):?": "bold red",
    r"(?<![\w'/.-])--?[a-z][\w-]*": "cyan",  # options
}
_WIDTH_OF_BARS = 80
"""Narrower terminals show the numbers alone."""


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether a person reads a stream, who has not asked for plain text."""
    if os.environ.get("NO_COLOR") or os.environ.get("CI"):
        return False
    is_dumb = os.environ.get("TERM") in ("dumb", "unknown")
    return stream is not None and stream.isatty() and not is_dumb


def console(stream: IO[str] | None = None) -> Console | None:
    """For colors and tables on a stream, by default stdout; None if it is plain."""
    stream = stream or sys.stdout
    if not is_terminal(stream):
        return None
    from rich.console import Console  # 50 ms

    return Console(file=stream, force_terminal=True, highlight=False)


def write(text: str, stream: IO[str] | None = None) -> None:
    """Writes help or a message, in a terminal with headings and options in color."""
    if (terminal := console(stream)) is None:
        print(text, end="", file=stream)
        return
    from rich.text import Text

    colored = Text(text)
    for pattern, style in _STYLES.items():
        colored.highlight_regex(re.compile(pattern), style)
    terminal.print(colored, soft_wrap=True, end="")


def print_rows(rows: Mapping[str, object], title: str = "") -> None:
    """Prints names and values in two columns; in a terminal, long values are wrapped."""
    indent = "  " * bool(title)
    if (terminal := console()) is None:
        width = max(map(len, rows)) + 2
        lines = (f"{indent}{name:{width}}{value}" for name, value in rows.items())
        print("\n".join([title] * bool(title) + [*lines]))
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, Text(str(value)))
    if title:
        terminal.print(Text(title, "bold"))
    terminal.print(Padding(table, (0, 0, 0, len(indent)), expand=False))


@contextlib.contextmanager
def bars() -> Iterator[None]:
    """Shows the progress on stderr by bars of this module, if it is a terminal."""
    if not is_terminal(sys.stderr):
        yield
        return
    token = SHOWN_BY.set(Bar)
    try:
        yield
    finally:
        SHOWN_BY.reset(token)


class Bar:
    """A progress bar with the rate and the time left, which is used like tqdm's."""

    def __init__(
        self,
        desc: str,
        unit: str,
        total: int | None = None,
        initial: int = 0,
        disable: bool = False,
        **_: Any,
    ) -> None:
        from rich import progress

        shown = console(sys.stderr)
        assert shown is not None
        columns: list[progress.ProgressColumn] = [
            progress.TextColumn("{task.description}", markup=False),
            progress.TextColumn("{task.fields[numbers]}", markup=False),
        ]
        self._is_wide = shown.width >= _WIDTH_OF_BARS
        if self._is_wide:
            columns.insert(1, progress.BarColumn(None))
        self._progress = progress.Progress(
            *columns,
            console=shown,
            redirect_stdout=False,  # stdout may be a file
            speed_estimate_period=3600,  # a batch of a large model may take a minute
            disable=disable,
            expand=True,
        )
        self._unit = unit
        self._task = self._progress.add_task(
            desc, start=False, total=total, completed=initial, numbers=""
        )
        self._started = time.monotonic()

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def n(self) -> int:
        return int(self._progress.tasks[0].completed)

    @property
    def total(self) -> float | None:
        return self._progress.tasks[0].total

    @total.setter
    def total(self, total: float | None) -> None:
        self._progress.update(self._task, total=total)

    def update(self, n: int) -> None:
        task = self._progress.tasks[0]
        self._progress.start_task(self._task)  # until the first call, the bar pulses
        self._progress.update(self._task, advance=n)
        numbers = [f"{task.percentage:.0f}%"] if task.total else []
        if self._is_wide:
            numbers.append(self._readable(task.completed))
        if speed := task.finished_speed or task.speed:
            numbers.append(f"{self._readable(speed)}/s")
        if task.finished:
            numbers.append(_clock(time.monotonic() - self._started))
        elif task.time_remaining is not None:
            numbers.append(_clock(task.time_remaining) + " left" * self._is_wide)
        self._progress.update(self._task, numbers=", ".join(numbers))

    def set_description(self, desc: str) -> None:
        self._progress.update(self._task, description=desc)

    def _readable(self, number: float) -> str:
        from rich.filesize import decimal

        return decimal(int(number)) if self._unit == "B" else f"{number:,.0f}{self._unit}"


def _clock(seconds: float) -> str:
    """``0:02:05``."""
    return str(datetime.timedelta(seconds=round(seconds)))
