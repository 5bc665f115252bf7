"""Disks that are full, memory that runs out, numbers that do not fit."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.errors import DiskFullError
from keras_elmo.vectors import embed_corpus, fill, scan
from keras_elmo.vectors.embedder import Embedder
from tests.tiny_models import TINY
from tests.vectors.small_jobs import (
    LENGTHS,
    QUIET,
    SENTENCES,
    contents,
    folder,
)


def test_no_room_on_the_disk(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    for suffix in (".hdf5", ".npy"):
        with pytest.raises(
            DiskFullError, match=r"needs [0-9,]+ bytes; its disk has 100 left"
        ):
            embed_corpus(layer, SENTENCES, tmp_path / f"out{suffix}", **QUIET)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("call", "n_good"),
    [("posix_fallocate", 0), ("fsync", 0), ("fsync", 3), ("fsync", 4), ("fsync", 7)],
)
def test_a_full_disk(
    call: str,
    n_good: int,
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it shows, the error says so, and the same call goes on later."""
    whole, full = folder(tmp_path, "whole"), folder(tmp_path, "full")
    embed_corpus(layer, SENTENCES, whole / "out.hdf5", **QUIET).close()
    function, calls = getattr(os, call), iter(range(1000))

    def no_room(*args: Any) -> Any:
        if next(calls) >= n_good:
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*args)

    with monkeypatch.context() as patch:
        patch.setattr(fill, "SECONDS_BETWEEN_RECORDS", 0)
        patch.setattr(os, call, no_room)
        with pytest.raises(
            DiskFullError, match=r"the disk of .* is full. Make room, and do"
        ):
            embed_corpus(layer, SENTENCES, full / "out.hdf5", **QUIET)
    left = [] if n_good < 3 else ["out.hdf5.json", "out.hdf5.part"]
    assert list(contents(full)) == left
    embed_corpus(layer, SENTENCES, full / "out.hdf5", **QUIET).close()
    assert contents(full) == contents(whole)


@pytest.mark.parametrize("limit", [1, 4, 7])
@pytest.mark.parametrize("error", [MemoryError, tf.errors.ResourceExhaustedError])
def test_memory_runs_out(
    limit: int,
    error: type[Exception],
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of too many steps are divided, and no larger ones are tried again."""
    arrays, tried = Embedder.arrays, []

    def limited(self: Embedder, sentences: Any) -> Any:
        steps = len(sentences) * max(s.n_tokens for s in sentences)
        tried.append(steps)
        if len(sentences) > 1 and steps > limit:
            raise error(*([] if error is MemoryError else [None, None, "no memory"]))
        return arrays(self, sentences)

    monkeypatch.setattr(Embedder, "arrays", limited)
    monkeypatch.setattr(scan, "CHUNK_SENTENCES", 4)
    found = embed_corpus(layer, SENTENCES, tmp_path / "out.npy", progress=False)
    expected = np.asarray(layer(SENTENCES))
    for array, rows, n in zip(found, expected, LENGTHS, strict=True):
        np.testing.assert_allclose(array.swapaxes(0, 1), rows[:n], atol=1e-6)
    assert tried[0] == 4 * 5
    too_large = [steps for steps in tried if steps > max(limit, 5)]
    assert len(too_large) <= 3  # of the first chunk; it was a lesson
    if limit == 7:
        # Short sentences still go together.
        assert len(tried) - len(too_large) < len(SENTENCES)


def test_no_memory_for_one_sentence(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = Embedder.arrays

    def limited(self: Embedder, sentences: Any) -> Any:
        if any(s.n_tokens == 4 for s in sentences):
            raise MemoryError
        return arrays(self, sentences)

    path = tmp_path / "out.npy"
    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "arrays", limited)
        with pytest.raises(
            MemoryError, match=r"for one sentence of 4 tokens\. Choose a sm"
        ):
            embed_corpus(layer, SENTENCES, path, progress=False)
    assert json.loads((tmp_path / "out.npy.json").read_text())["n_done"] == 1
    embed_corpus(layer, SENTENCES, path, progress=False)


def test_what_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "layers")
    layer.set_weights([weight * 1e6 for weight in layer.get_weights()])
    with pytest.raises(
        ValueError, match="text number 3 do not fit float16: the largest is"
    ):
        embed_corpus(layer, SENTENCES, tmp_path / "a.h5", dtype="float16", **QUIET)
    assert contents(tmp_path) == {}
