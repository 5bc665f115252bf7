"""Files that are begun, continued and named when they are complete."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from keras_elmo.errors import DiskFullError
from keras_elmo.vectors.partial_file import PartialFile, locked

CONTENT = b"0123456789"


def make(path: Path) -> None:
    path.write_bytes(bytes(len(CONTENT)))


def begun(path: Path, fingerprint: dict[str, Any] | None = None) -> PartialFile:
    file = PartialFile(path, fingerprint or {"of": "this"})
    if file.resume() is None:
        file.start(len(CONTENT), make)
    return file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_from_beginning_to_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    file = begun(path)
    assert names(tmp_path) == ["a.bin.json", "a.bin.part"]
    with file.opened():
        file.write(4, CONTENT[4:])
        file.save_progress(6)
    assert begun(path).resume() == 6
    again = begun(path)
    with again.opened():
        again.write(0, CONTENT[:4])
        # What the record counts is in the file before the file is closed.
        again.save_progress(10)
        assert again.part.read_bytes() == CONTENT
    again.complete()
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["a.bin", "a.bin.json"]
    assert json.loads(again.record.read_text()) == {
        "n_done": 10,
        "fingerprint": {"of": "this"},
    }


def test_something_else(tmp_path: Path) -> None:
    begun(tmp_path / "a.bin")
    with pytest.raises(
        ValueError, match=r"a.bin.part' is of something else: these differ: of"
    ):
        begun(tmp_path / "a.bin", {"of": "that"})
    # Nothing speaks against a new beginning where the content is gone.
    (tmp_path / "a.bin.part").unlink()
    assert begun(tmp_path / "a.bin", {"of": "that"}).resume() == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"n_done": 3}', "3"])
def test_a_damaged_record(text: str, tmp_path: Path) -> None:
    begun(tmp_path / "a.bin")
    (tmp_path / "a.bin.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"cannot read .*a.bin.json' .* Delete it and what"
    ):
        begun(tmp_path / "a.bin")


def test_a_beginning_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("no more")

    file = PartialFile(tmp_path / "a.bin", {})
    with pytest.raises(RuntimeError, match="no more"):
        file.start(4, fails)
    assert names(tmp_path) == []
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*none'. Make it"):
        PartialFile(tmp_path / "none" / "a.bin", {})


def test_a_full_disk(tmp_path: Path) -> None:
    file = begun(tmp_path / "a.bin")

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def seek(self, offset: int) -> None:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    def write() -> None:
        with file.opened():
            file._file = Full(file._file)  # type: ignore[assignment]
            file.write(0, CONTENT)

    with pytest.raises(DiskFullError, match=r"the disk of .* is full. Make room, and do"):
        write()
    with pytest.raises(OSError, match="other trouble"), file.opened():
        raise OSError(errno.EIO, "other trouble")
    assert begun(tmp_path / "a.bin").resume() == 0


def test_what_did_not_reach_the_disk_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells of lost data once: the next time, all seems well."""
    file = begun(tmp_path / "a.bin")
    fsync, errors = os.fsync, [OSError(errno.EIO, "Input/output error")]

    def fails_once(descriptor: int) -> None:
        if errors:
            raise errors.pop()
        fsync(descriptor)

    def write() -> None:
        with file.opened():
            file.write(0, CONTENT)
            try:
                file.save_progress(5)
            finally:
                file.save_progress(10)

    monkeypatch.setattr(os, "fsync", fails_once)
    with pytest.raises(OSError, match="Input/output error"):
        write()
    assert begun(tmp_path / "a.bin").resume() == 0
    with file.opened():
        file.save_progress(3)
    assert begun(tmp_path / "a.bin").resume() == 3


def test_file_systems_that_cannot_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*args: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    assert begun(tmp_path / "a.bin").resume() == 0
    monkeypatch.delattr(os, "posix_fallocate")
    assert begun(tmp_path / "b.bin").resume() == 0


def _try_lock(path: Path, result: Any) -> None:
    try:
        with locked(path):
            result.put("free")
    except BlockingIOError as error:
        result.put(str(error))


def _tried_elsewhere(path: Path) -> str:
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    process = context.Process(target=_try_lock, args=(path, result))
    process.start()
    answer: str = result.get(timeout=120)
    process.join()
    return answer


def test_locks_keep_other_processes_away(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with locked(path):
        assert "another process is working on" in _tried_elsewhere(path)
    assert names(tmp_path) == []
    assert _tried_elsewhere(path) == "free"
    with pytest.raises(RuntimeError, match="within"), locked(path):
        raise RuntimeError("within")
    assert names(tmp_path) == []
