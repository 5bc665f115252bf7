from __future__ import annotations

import errno
from pathlib import Path

import pytest

from keras_elmo.weights.atomic import replacing, reserve


def test_files_and_directories_appear_when_they_are_complete(tmp_path: Path) -> None:
    path, new = tmp_path / ("x" * 255), tmp_path / "new"
    path.write_text("old")
    with replacing(path) as written, replacing(new) as folder:
        written.write_text("new")
        folder.mkdir()
        (folder / "file").write_text("content")
        assert path.read_text() == "old"
        assert not new.exists()
    assert (path.read_text(), (new / "file").read_text()) == ("new", "content")
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert sorted(tmp_path.iterdir()) == [new, tmp_path / "usual", path]


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as written:
            written.write_text("half")
            raise KeyboardInterrupt("now")

    with pytest.raises(KeyboardInterrupt, match="now"):
        write_half()
    with pytest.raises(FileNotFoundError, match="file"), replacing(path):
        pass  # nothing was written
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EOPNOTSUPP])
def test_room_is_taken_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    reserve(path, 10_000)
    assert path.read_bytes() == b"kept" + bytes(9_996)

    def fail(*_: object) -> None:
        raise OSError(error, "No")

    monkeypatch.setattr("os.posix_fallocate", fail)
    if error == errno.EOPNOTSUPP:
        reserve(path, 20_000)  # as not every file system can do it
    else:
        with pytest.raises(OSError, match=rf"\[Errno {error}\] No: '.*file'"):
            reserve(path, 20_000)
