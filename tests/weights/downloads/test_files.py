"""One file: where it goes, redirects, its size and SHA-256."""

from __future__ import annotations

import errno
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pooch
import pytest

import keras_elmo
from keras_elmo import SourceError
from keras_elmo.weights.download import (
    download,
)
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY
from tests.weights.downloads.files import files_in, sha256
from tests.weights.file_server import Answer, FileServer, serving


def test_where_a_file_is_kept(server: FileServer, cache: Path, www: Path) -> None:
    url = f"{server.url}/model.zip"
    path = download(url)
    assert path == cache / sha256(url.encode())[:16] / "model.zip"
    assert path.read_bytes() == (www / "model.zip").read_bytes()
    assert files_in(cache) == [path]
    # The same name at another address is another file.
    assert download(f"{url}?version=2").parent != path.parent
    assert download(url, name="other.zip") == path.with_name("other.zip")


def test_a_file_has_the_usual_permissions(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    path = download(f"{server.url}/model.zip")
    usual = (tmp_path / "usual").stat().st_mode
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual)


def test_works_offline_from_the_cache(www: Path) -> None:
    with serving(www) as server:
        url = f"{server.url}/model.zip"
        path = download(url)
    assert download(url) == path
    assert load_source(url).config == TINY
    with pytest.raises(SourceError, match=r"Cannot download .*Check the address"):
        download(f"{server.url}/module.tgz")


def test_a_cache_that_is_read_only(server: FileServer, cache: Path) -> None:
    path = download(f"{server.url}/model.zip")
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert load_source(f"{server.url}/model.zip").config == TINY
        assert download(f"{server.url}/model.zip") == path
    finally:
        path.parent.chmod(0o700)


def test_a_progress_bar(server: FileServer, capfd: pytest.CaptureFixture[str]) -> None:
    download(f"{server.url}/model.zip")
    assert "100%" in capfd.readouterr().err
    download(f"{server.url}/model.zip")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(server: FileServer, www: Path, status: int) -> None:
    server.redirect("/latest.zip", f"{server.url}/v2", status)
    server.redirect("/v2", "/model.zip", status)
    path = download(f"{server.url}/latest.zip")
    assert path.name == "latest.zip"
    assert path.read_bytes() == (www / "model.zip").read_bytes()
    assert server.requests == ["/latest.zip", "/v2", "/model.zip"]
    download(f"{server.url}/latest.zip")
    assert len(server.requests) == 3


def test_redirects_to_other_places(server: FileServer, cache: Path) -> None:
    server.redirect("/a.zip", "file:///etc/passwd")
    with pytest.raises(SourceError, match=r"Cannot download .*a.zip.*No connection adap"):
        download(f"{server.url}/a.zip")
    server.redirect("/b.zip", "/b.zip")
    with pytest.raises(SourceError, match=r"Cannot download .*b.zip.*30 redirects"):
        download(f"{server.url}/b.zip")
    assert files_in(cache) == []


def test_files_are_asked_for_whole(server: FileServer, cache: Path) -> None:
    """pooch does not resume: no part of a file is asked for, and none is taken."""
    server.answers["/model.zip"] = [Answer(b"PK", length=1000), Answer(b"PK", status=206)]
    with pytest.raises(SourceError, match="the server answers 206 Partial Content"):
        download(f"{server.url}/model.zip")
    assert [headers.get("Range") for headers in server.headers] == [None, None]
    assert files_in(cache) == []


def test_size_and_sha256(server: FileServer, www: Path) -> None:
    content = (www / "model" / "weights.hdf5").read_bytes()
    path = download(
        f"{server.url}/model/weights.hdf5",
        sha256=sha256(content).upper(),
        size=len(content),
    )
    assert path.read_bytes() == content


def test_another_sha256(server: FileServer, cache: Path) -> None:
    with pytest.raises(
        SourceError,
        match=r"Cannot download .*SHA256 hash .*expected 0{64} but got [0-9a-f]{64}.*"
        r"Check the address",
    ):
        download(f"{server.url}/model/weights.hdf5", sha256="0" * 64)
    assert len(server.requests) == 4
    assert files_in(cache) == []


def test_another_size(server: FileServer, cache: Path) -> None:
    server.answers["/model.bin"] = [Answer(bytes(1234))]
    with pytest.raises(
        SourceError,
        match=r"Cannot download .*\(expected 1,235 bytes, found 1,234\)\. Check the addres",
    ):
        download(f"{server.url}/model.bin", size=1235)
    assert len(server.requests) == 4
    assert files_in(cache) == []


@pytest.mark.parametrize("found", [b"", b"12345678"])
def test_a_cached_file_of_another_size(server: FileServer, found: bytes) -> None:
    server.answers["/model.bin"] = [Answer(b"123456789")]
    url = f"{server.url}/model.bin"
    path = download(url, size=9)
    path.write_bytes(found)
    assert download(url, size=9).read_bytes() == b"123456789"
    assert len(server.requests) == 2


def test_an_empty_cached_file(server: FileServer) -> None:
    server.answers["/model.bin"] = [Answer(b"123456789")]
    download(f"{server.url}/model.bin").write_bytes(b"")
    assert download(f"{server.url}/model.bin").read_bytes() == b"123456789"


# The package without the layer, whose imports would take seconds.
DOWNLOAD = """
import sys, types
sys.modules["keras_elmo"] = types.ModuleType("keras_elmo")
sys.modules["keras_elmo"].__path__ = [sys.argv[2]]
from keras_elmo.weights.download import download
print(download(sys.argv[1]))
"""


def test_two_processes_at_once(server: FileServer, cache: Path, www: Path) -> None:
    # Neither gets its file before the other has asked for it too.
    together = threading.Barrier(2)
    content = (www / "model.zip").read_bytes()
    server.answers["/model.zip"] = [Answer(content, together=together)]
    package = str(Path(keras_elmo.__file__).parent)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", DOWNLOAD, f"{server.url}/model.zip", package],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len(server.requests) == 2
    (path,) = files_in(cache)
    assert [out.strip() for out, _ in outputs] == [str(path), str(path)]
    assert path.read_bytes() == content


def test_another_process_had_more_luck(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{server.url}/nothing.zip"

    def fetch(files: pooch.Pooch, name: str, **_: object) -> str:
        files.path.mkdir(parents=True)
        (files.path / name).write_bytes(b"the other's")
        raise PermissionError(errno.EACCES, "in use")  # as on Windows

    monkeypatch.setattr(pooch.Pooch, "fetch", fetch)
    assert download(url).read_bytes() == b"the other's"
