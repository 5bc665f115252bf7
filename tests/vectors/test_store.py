"""The store: started, resumed, and brought to the disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.errors import DiskFullError
from keras_elmo.vectors.corpus import Corpus
from keras_elmo.vectors.files import SUFFIXES
from keras_elmo.vectors.numpy_format import NUMPY
from keras_elmo.vectors.options import Options
from keras_elmo.vectors.store import Store, read_record
from tests.vectors.small_jobs import KINDS, QUIET, contents

ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def store(path: Path, of: str = "this") -> Store:
    """For sentences of two tokens and of one."""
    corpus = Corpus(["a b", "c"], Options())
    return Store(path, NUMPY, corpus, Options(forget_sentences=True), (2,), {"of": of})


def started(path: Path, of: str = "this") -> Store:
    result = store(path, of)
    result.begin()
    return result


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_files_of_the_user(
    layer: ElmoEmbeddingLayer, tmp_path: Path, suffix: str, kind: str
) -> None:
    """They are left alone, whatever their names."""
    path = tmp_path / f"v{kind}{suffix}"
    path.write_text("mine")
    with pytest.raises((FileExistsError, ValueError), match=rf"path: .*{path.name}'"):
        compute_features(layer, ["a"], tmp_path / f"v{kind}", pooled=True, **QUIET)
    assert contents(tmp_path) == {path.name: b"mine"}


def test_what_is_on_the_disk(tmp_path: Path) -> None:
    """What the record counts is in the file before the file is closed."""
    path = tmp_path / "a.npy"
    with started(path).opened() as file:
        file.write(1, ROWS[2:])
        file.save_progress(1)
        np.testing.assert_array_equal(np.load(file.part)[2], ROWS[2])
        record = {"n_done": 1, "fingerprint": {"of": "this"}}
        assert json.loads(file.record.read_text()) == record
    with pytest.raises(
        ValueError, match=r"a.npy.part' belongs to another job; .*differ: of"
    ):
        started(path, "that")
    # Nothing speaks against a new start when the content is gone.
    file.part.unlink()
    assert started(path, "that").n_done() == 0
    # Nor does what is left of a first record when a process is killed while it writes.
    for length in (0, 20):
        file.discard()
        path.with_name("a.npy.json.part").write_bytes(store(path)._recorded(0)[:length])
        assert started(path).n_done() == 0


DAMAGED = ["{", "[]", "3", "\x00", '{"a": 1, "a": 1}', '{"n_done": 3}', "[" * 100_000]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_record(text: str, tmp_path: Path) -> None:
    started(tmp_path / "a.npy")
    (tmp_path / "a.npy.json").write_text(text)
    with pytest.raises(ValueError, match=r"cannot read .*a.npy.json' .* Delete it and the"):
        started(tmp_path / "a.npy")
    assert read_record(tmp_path / "none.json") is None


def write(file: Store) -> None:
    with file.opened():
        file.write(0, ROWS[:2])
        try:
            file.save_progress(1)
        finally:
            file.save_progress(2)


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        (errno.EDQUOT, DiskFullError, r"the disk of .* is full. Free some space"),
        (errno.EIO, OSError, "other trouble"),
    ],
)
def test_what_did_not_reach_the_disk_is_not_recorded(
    number: int,
    error: type[OSError],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system reports lost data once: the next time, all seems well."""
    file = started(tmp_path / "a.npy")
    fsync, errors = os.fsync, [OSError(number, "other trouble")]

    def fails_once(descriptor: int) -> None:
        if errors:
            raise errors.pop()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fails_once)
    with pytest.raises(error, match=message):
        write(file)
    assert file.n_done() == 0
    write(file)
    assert file.n_done() == 2


def test_file_systems_that_cannot_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*args: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    assert started(tmp_path / "a.npy").n_done() == 0
    monkeypatch.delattr(os, "posix_fallocate")
    assert started(tmp_path / "b.npy").n_done() == 0
