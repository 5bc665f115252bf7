"""Downloads from a server on this machine, which does not always do its best."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pooch
import pytest

import keras_elmo
from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.weights import download as module
from keras_elmo.weights.download import (
    cache_directory,
    download,
    download_source,
    forget,
)
from keras_elmo.weights.sources import load_source
from tests.file_server import Answer, FileServer, serving
from tests.tiny_models import TINY, random_arrays, saved_model


@pytest.fixture
def www(tmp_path: Path) -> Path:
    """The files that the server has: one model in each of its forms."""
    folder = tmp_path / "www"
    model = saved_model(folder / "model")
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        for path in model.iterdir():
            archive.write(path, path.name)
    for name in ("module.tar.gz", "module.tgz"):
        with tarfile.open(folder / name, "w:gz") as tar:
            tar.add(model, ".")
    prefixed = folder / "prefixed"
    prefixed.mkdir()
    (prefixed / "x_options.json").write_bytes((model / "options.json").read_bytes())
    for name in ("x_weights.hdf5", "x_weights.h5"):
        (prefixed / name).write_bytes((model / "weights.hdf5").read_bytes())
    return folder


@pytest.fixture
def server(www: Path) -> Iterator[FileServer]:
    with serving(www) as running:
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "cache"))
    # A proxy has no part in a request to this machine.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that pooch would have waited before each retry."""
    waited: list[float] = []
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=waited.append))
    return waited


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("name", "n_files"),
    [
        ("model.zip", 1),
        ("model.zip?download=1", 1),
        ("model/weights.hdf5", 2),
        ("prefixed/x_weights.hdf5", 2),
        ("prefixed/x_weights.h5", 2),
    ],
)
def test_a_model_is_downloaded_once(server: FileServer, name: str, n_files: int) -> None:
    for _ in range(2):
        model = load_source(f"{server.url}/{name}")
        assert model.config == TINY
        for key, expected in random_arrays(TINY).items():
            np.testing.assert_array_equal(model.arrays[key], expected)
        assert len(server.requests) == n_files


def test_a_layer_from_a_url(server: FileServer) -> None:
    from_url = ElmoEmbeddingLayer(f"{server.url}/model.zip")(["a b"])
    from_path = ElmoEmbeddingLayer(download(f"{server.url}/model.zip"))(["a b"])
    np.testing.assert_array_equal(from_url, from_path)


@pytest.mark.parametrize("name", ["module.tar.gz", "module.tgz", "model.zip"])
def test_an_archive(server: FileServer, www: Path, name: str) -> None:
    path = download_source(f"{server.url}/{name}")
    assert path.name == name
    assert path.read_bytes() == (www / name).read_bytes()


def test_options_are_beside_the_weights(server: FileServer, www: Path) -> None:
    path = download_source(f"{server.url}/prefixed/x_weights.hdf5")
    options = path.with_name("x_options.json")
    assert options.read_bytes() == (www / "prefixed" / "x_options.json").read_bytes()
    assert sorted(files_in(cache_directory())) == [options, path]


def test_nothing_is_fetched_for_a_model_without_options(server: FileServer) -> None:
    server.answers["/model/options.json"] = [Answer(status=404)]
    with pytest.raises(SourceError, match=r"Cannot download '.*/model/options.json'"):
        download_source(f"{server.url}/model/weights.hdf5")
    assert server.requests == ["/model/options.json"]


# -------------------------------------------------------------------------------- files


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


# ------------------------------------------------------------- answers that are no files


@pytest.mark.parametrize("status", [401, 403, 404, 410, 204])
def test_answers_that_stay(
    server: FileServer, cache: Path, pauses: list[float], status: int
) -> None:
    server.answers["/model.zip"] = [Answer(status=status)]
    with pytest.raises(
        SourceError,
        match=rf"Cannot download 'http.*/model.zip' into '.*' \(the server answers {status}"
        r" .*\)\. Check the address and the network, .*name its path as source",
    ):
        download(f"{server.url}/model.zip")
    assert len(server.requests) == 1
    assert pauses == []
    assert files_in(cache) == []


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_answers_that_may_pass(
    server: FileServer, cache: Path, pauses: list[float], status: int
) -> None:
    server.answers["/model.zip"] = [Answer(status=status)]
    with pytest.raises(SourceError, match=rf"Cannot download .*\({status} .* Error"):
        download(f"{server.url}/model.zip")
    assert len(server.requests) == 4
    assert pauses == [1, 2, 3]
    assert files_in(cache) == []


def good(www: Path) -> Answer:
    return Answer((www / "model.zip").read_bytes())


BAD_ANSWERS = {
    "busy": Answer(status=503),
    "cut": Answer(b"PK\x03\x04" + bytes(5000), length=100_000),
    "cut at once": Answer(b"", length=100_000),
    "reset": Answer(b"PK\x03\x04" + bytes(5000), length=100_000, reset=True),
    "reset at once": Answer(b"", length=100_000, reset=True),
    "slow": Answer(b"PK", wait=1.0),
    "empty": Answer(b""),
    "empty without a length": Answer(b"", length=-1),
    "login page": Answer(b"<html>Please log in.</html>"),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_a_retry_that_succeeds(
    server: FileServer,
    www: Path,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.2)
    bad = BAD_ANSWERS[kind]
    server.answers["/model.zip"] = [bad, bad, good(www)]
    path = download(f"{server.url}/model.zip")
    assert path.read_bytes() == (www / "model.zip").read_bytes()
    assert files_in(path.parent) == [path]
    assert pauses == [1, 2]


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_a_download_that_fails(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.2)
    server.answers["/model.zip"] = [BAD_ANSWERS[kind]]
    with pytest.raises(
        SourceError, match=r"Cannot download 'http.*/model.zip' into '.*' \(.*\)\. Check"
    ):
        download(f"{server.url}/model.zip")
    assert len(server.requests) == 4
    assert files_in(cache) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.zip", "not a whole zip archive: File is not a zip file"),
        ("a.ZIP", "not a whole zip archive: File is not a zip file"),
        ("a.tar.gz", "not a whole gzip file: Not a gzipped file"),
        ("a.tgz", "not a whole gzip file: Not a gzipped file"),
        ("a.hdf5", "not a whole HDF5 file: .*file signature not found"),
        ("a.h5", "not a whole HDF5 file: .*file signature not found"),
        ("a.json", "what came is not JSON: Expecting value"),
    ],
)
def test_a_page_instead_of_the_file(
    server: FileServer, cache: Path, name: str, message: str
) -> None:
    server.answers[f"/{name}"] = [Answer(b"<html>Please log in.</html>")]
    with pytest.raises(SourceError, match=rf"Cannot download .*{message}"):
        download(f"{server.url}/{name}")
    assert files_in(cache) == []


def test_an_empty_file(server: FileServer, cache: Path) -> None:
    server.answers["/model.bin"] = [Answer(b"")]
    with pytest.raises(SourceError, match=r"Cannot download .*\(what came is empty\)"):
        download(f"{server.url}/model.bin")
    assert files_in(cache) == []


def test_archives_that_unpack_without_bound(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_elmo.weights.archive.MOST_BYTES", 1_000_000)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("options.json", bytes(1_000_001))
    server.answers["/bomb.zip"] = [Answer(content.getvalue())]
    with pytest.raises(SourceError, match=r"zip archive: it unpacks to 1,000,001 bytes"):
        download(f"{server.url}/bomb.zip")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("saved_model.pb")
        member.size = 1_000_001
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    server.answers["/bomb.tgz"] = [Answer(content.getvalue())]
    with pytest.raises(SourceError, match=r"unpacks to more than the 1,000,000 bytes"):
        download(f"{server.url}/bomb.tgz")
    assert files_in(cache) == []


def test_zip_archives_that_could_do_harm(server: FileServer, cache: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../evil", b"")
    server.answers["/evil.zip"] = [Answer(content.getvalue())]
    with pytest.raises(SourceError, match=r"its member '../evil' points out of the archiv"):
        download(f"{server.url}/evil.zip")
    assert files_in(cache) == []


# ----------------------------------------------------------------------- size and SHA-256


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


# ------------------------------------------------------------------------ two at a time

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


# ----------------------------------------------------------------------------- the cache


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


# ---------------------------------------------------------------------------- no network


def test_no_network(cache: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/elmo_weights.hdf5"
        with pytest.raises(
            SourceError,
            match=r"Cannot download .*elmo_options.json.*name its path as source",
        ):
            download_source(url)
    assert files_in(cache) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/model.bin",
        "https://127.0.0.1/model.gz",
        "https://127.0.0.1/model.zip/",
        "https://127.0.0.1",
    ],
)
def test_urls_of_other_files(url: str) -> None:
    with pytest.raises(
        SourceError, match=rf"source '{url}': its path ends in none of .zip, .tar.gz, .tgz"
    ):
        download_source(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/model.zip",
        "file:///etc/model.zip",
        "http:///model.zip",
        "http://[::1/model.zip",
        "model.zip",
    ],
)
def test_urls_of_other_kinds(url: str) -> None:
    for function in (download, download_source):
        with pytest.raises(SourceError, match=r"source '.*': expected an http\(s\) URL"):
            function(url)


def test_urls_without_a_name_or_with_a_wrong_port() -> None:
    for url in ("http://127.0.0.1", "http://127.0.0.1/a/", "http://127.0.0.1/a/.."):
        with pytest.raises(SourceError, match=r"does not end in the name of a file"):
            download(url)
    with pytest.raises(SourceError, match=r"Cannot download .*99999.*Check the address"):
        download("http://127.0.0.1:99999/model.zip")


def test_options_that_are_cut(server: FileServer, www: Path) -> None:
    options = (www / "model" / "options.json").read_bytes()
    server.answers["/model/options.json"] = [Answer(options[:-5]), Answer(options)]
    path = download_source(f"{server.url}/model/weights.hdf5")
    assert json.loads(path.with_name("options.json").read_text()) == json.loads(options)
    assert server.requests == [*2 * ["/model/options.json"], "/model/weights.hdf5"]
