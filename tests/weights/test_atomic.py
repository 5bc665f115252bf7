from __future__ import annotations

from pathlib import Path

import pytest

from keras_elmo.weights.atomic import replacing


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    path.write_text("old")
    with replacing(path) as written:
        written.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert sorted(tmp_path.iterdir()) == [tmp_path / "usual", path]


def test_a_directory(tmp_path: Path) -> None:
    with replacing(tmp_path / "new") as written:
        written.mkdir()
        (written / "file").write_text("content")
    assert (tmp_path / "new" / "file").read_text() == "content"


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
