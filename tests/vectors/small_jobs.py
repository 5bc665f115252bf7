"""What the tests of files of embeddings share: a small corpus, and ways to stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo.vectors.embedder import Embedder

SENTENCES = ["the cat sat", "a dog", "", "one two three four five", "x", "a b c d", "a dog"]
LENGTHS = [len(sentence.split()) for sentence in SENTENCES]
QUIET: dict[str, Any] = {"progress": False, "batch_size": 2}
SUFFIXES = (".hdf5", ".h5", ".npy", ".parquet")
KINDS = (".hdf5", ".npy", ".parquet")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def folder(tmp_path: Path, name: str = "out") -> Path:
    path = tmp_path / name
    path.mkdir()
    return path


def check_tokens(
    found: Iterable[Any], batch: Any, texts: Iterable[str] = SENTENCES
) -> None:
    """``found`` has what a layer gives for texts, (n, time, ...), without the padding."""
    for array, rows, text in zip(found, np.asarray(batch), texts, strict=True):
        expected = rows[: len(text.split())]
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, expected, rtol=0, atol=1e-6, strict=True)


class Interrupted(Exception):  # noqa: N818
    """In the place of whatever ends a process."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, n_batches: int) -> None:
    batches = Embedder.batches

    def interrupted(*args: Any) -> Iterator[Any]:
        for n, batch in enumerate(batches(*args)):
            if n == n_batches:
                raise Interrupted("enough")
            yield batch

    monkeypatch.setattr(Embedder, "batches", interrupted)
