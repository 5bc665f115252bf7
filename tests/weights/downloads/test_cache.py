"""The folder of downloads."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pooch
import pytest

from keras_elmo import SourceError
from keras_elmo.weights.download import (
    cache_directory,
    download,
    download_source,
    forget,
)
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY
from tests.weights.downloads.files import files_in
from tests.weights.file_server import FileServer


def test_cache_directory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory() == cache
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("KERAS_ELMO_CACHE", "~/models")
    assert cache_directory() == Path("/somewhere/models")
    monkeypatch.setenv("KERAS_ELMO_CACHE", "")
    assert cache_directory().name == "keras-elmo"
    monkeypatch.delenv("KERAS_ELMO_CACHE")
    assert cache_directory().name == "keras-elmo"


def test_a_cache_that_cannot_be_made(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        SourceError,
        match=r"Cannot download .*Not a directory.*Let KERAS_ELMO_CACHE name a directory",
    ):
        download(f"{server.url}/model.zip")
    assert (tmp_path / "file").read_text() == "not a directory"
    assert server.requests == []


def test_a_cache_that_cannot_be_written(server: FileServer, cache: Path) -> None:
    cache.mkdir(mode=0o500)
    if os.access(cache, os.W_OK):
        pytest.skip("root may write everywhere")
    with pytest.raises(SourceError, match=r"Permission denied.*Let KERAS_ELMO_CACHE name"):
        download(f"{server.url}/model.zip")


def test_a_full_disk(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(_: object, url: str, file: str, files: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", write_half)
    with pytest.raises(
        SourceError,
        match=r"Cannot download .*No space left on device\)\. Free some space, or let K",
    ):
        download(f"{server.url}/model.zip")
    assert files_in(cache) == []


def test_forget(server: FileServer, cache: Path) -> None:
    path = download_source(f"{server.url}/prefixed/x_weights.hdf5")
    other = download(f"{server.url}/model.zip")
    forget(path)
    assert files_in(cache) == [other]
    forget(path)  # once more is once too often, and harmless
    assert load_source(f"{server.url}/prefixed/x_weights.hdf5").config == TINY
    assert len(server.requests) == 5


def test_forget_leaves_files_alone_that_are_no_downloads(
    tmp_path: Path, cache: Path, www: Path
) -> None:
    own = [www / "model.zip", cache / "model.zip", cache / "mine" / "elmo" / "model.zip"]
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        forget(path)
        assert path.exists()
    forget(tmp_path / "nowhere" / "model.zip")
