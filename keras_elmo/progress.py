"""Progress bars: tqdm's, or those of the program that uses the library."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Protocol

SHOWN_BY: ContextVar[Callable[..., Any]] = ContextVar("SHOWN_BY")
"""What the program calls instead of ``tqdm.tqdm``, with some of its arguments."""


class Bar(AbstractContextManager["Bar"], Protocol):
    """What is used of a bar of tqdm's."""

    total: float | None

    def update(self, n: int) -> object: ...


def progress_bar(
    desc: str, unit: str, total: int | None, *, done: int = 0, shown: bool = True
) -> Bar:
    from tqdm import tqdm  # not earlier: it reads the metadata of installed packages

    make = SHOWN_BY.get(tqdm)
    return make(
        desc=desc, unit=unit, total=total, initial=done, unit_scale=True, disable=not shown
    )
