"""Disks that are full, memory that runs out, numbers that do not fit."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.filesize import decimal

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.encoding import Program
from keras_elmo.errors import DiskFullError
from keras_elmo.vectors import compute, hdf5_format, numpy_format
from tests.tiny_models import LEAST
from tests.vectors.small_jobs import (
    LENGTHS,
    QUIET,
    SENTENCES,
    check_tokens,
    contents,
    folder,
)


def test_no_room_on_the_disk(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    n_bytes = sum(LENGTHS) * 2 * 16 * 4
    for name, needed in (
        ("out.hdf5", 2 * n_bytes + 350 * len(SENTENCES)),
        ("out.npy", n_bytes),
    ):
        with pytest.raises(
            DiskFullError, match=f"needs {decimal(needed)} .*has 100 bytes left"
        ):
            compute_features(layer, SENTENCES, tmp_path / name, **QUIET)
    assert contents(tmp_path) == {}


def no_room(*args: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def disk_is_full(compute: Callable[[], object]) -> None:
    with pytest.raises(DiskFullError, match=r"the disk of .* is full. Free some space"):
        compute()


@pytest.mark.parametrize(
    ("call", "n_good"),
    [
        *(("posix_fallocate", 0), ("posix_fallocate", 1)),  # for the rows, and for HDF5
        *(("fsync", 0), ("fsync", 2), ("fsync", 3), ("fsync", 13)),
    ],
)
def test_a_full_disk(
    call: str,
    n_good: int,
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it shows, the error says so, and the same call resumes later."""
    whole, full = folder(tmp_path, "whole"), folder(tmp_path, "full")
    words = [text for text in dict.fromkeys(SENTENCES) if text]
    arguments = {**QUIET, "sentence_keys": True}
    compute_features(layer, words, whole / "out.hdf5", **arguments).close()
    function, calls = getattr(os, call), iter(range(1000))

    def limited(*args: Any) -> Any:
        return function(*args) if next(calls) < n_good else no_room()

    with monkeypatch.context() as patch:
        patch.setattr(compute, "SECONDS_BETWEEN_RECORDS", 0)
        patch.setattr(os, call, limited)
        disk_is_full(lambda: compute_features(layer, words, full / "out.hdf5", **arguments))
    left = [] if n_good == 0 else ["out.hdf5.json", "out.hdf5.part"]
    assert list(contents(full)) == left
    compute_features(layer, words, full / "out.hdf5", **arguments).close()
    assert contents(full) == contents(whole)


@pytest.mark.parametrize(
    ("suffix", "owner", "name"),
    [(".npy", numpy_format.np, "save"), (".hdf5", hdf5_format, "_new_file")],
)
def test_full_in_the_last_step(
    suffix: str,
    owner: Any,
    name: str,
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / f"out{suffix}"
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, no_room)
        disk_is_full(lambda: compute_features(layer, SENTENCES, path, **QUIET))
    monkeypatch.setattr(Program, "__call__", no_room)  # nothing is computed again
    assert len(compute_features(layer, SENTENCES, path, **QUIET)) == len(SENTENCES)
    assert not [name for name in contents(tmp_path) if ".part" in name]


def limit_memory(patch: pytest.MonkeyPatch, too_much: Callable[[Any], bool]) -> list[int]:
    """Lets batches fail whose texts are too much; returns the steps of those tried."""
    run, tried = Program.__call__, []

    def limited(self: Program, texts: Any) -> Any:
        tried.append(len(texts) * max(map(len, texts)))
        if too_much(texts):
            raise MemoryError
        return run(self, texts)

    patch.setattr(Program, "__call__", limited)
    return tried


@pytest.mark.parametrize("limit", [1, 4, 7])
def test_memory_runs_out(
    limit: int, layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of too many steps are divided, and no larger ones are tried again."""
    tried = limit_memory(
        monkeypatch, lambda texts: len(texts) > 1 and len(texts) * len(texts[0]) > limit
    )
    monkeypatch.setattr("keras_elmo.vectors.corpus.CHUNK_SENTENCES", 4)
    found = compute_features(layer, SENTENCES, tmp_path / "out.npy", progress=False)
    check_tokens(found, layer(SENTENCES))
    assert tried[0] == 4 * 5
    too_large = [steps for steps in tried if steps > max(limit, 5)]
    assert len(too_large) <= 3  # of the first chunk; it was a lesson
    if limit == 7:
        # Short sentences still go together.
        assert len(tried) - len(too_large) < len(SENTENCES)


def test_no_memory_for_one_sentence(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.npy"
    with monkeypatch.context() as patch:
        limit_memory(patch, lambda texts: any(len(text) == 4 for text in texts))
        with pytest.raises(MemoryError, match=r"one sentence of 4 tokens\. Choose a sm"):
            compute_features(layer, SENTENCES, path, progress=False)
    assert json.loads((tmp_path / "out.npy.json").read_text())["n_done"] == 1
    compute_features(layer, SENTENCES, path, progress=False)


def test_what_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(LEAST, "layers")
    layer.set_weights([weight * 1e6 for weight in layer.get_weights()])
    with pytest.raises(ValueError, match="text number 4 do not fit float16: the largest"):
        compute_features(layer, SENTENCES, tmp_path / "a.h5", dtype="float16", **QUIET)
    assert contents(tmp_path) == {}
