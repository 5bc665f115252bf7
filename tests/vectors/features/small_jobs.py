"""Texts, and jobs that are interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keras_elmo.vectors.embedder import Embedder

TEXTS = ["the cat sat", "", "a dog", "one two three four five", "x", "a b c d", "y"]

LENGTHS = [3, 0, 2, 5, 1, 4, 1]

QUIET = {"progress": False, "batch_size": 2}


class Interrupted(Exception):  # noqa: N818
    """In the place of a user's patience."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, n_batches: int) -> None:
    computed = Embedder.batches

    def interrupted(*args: Any) -> Iterator[Any]:
        for n, batch in enumerate(computed(*args)):
            if n == n_batches:
                raise Interrupted("enough")
            yield batch

    monkeypatch.setattr(Embedder, "batches", interrupted)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.parent.iterdir())}
