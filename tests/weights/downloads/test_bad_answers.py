"""Answers that are not the file: errors, cuts, pages and archives that could do harm."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from keras_elmo import SourceError
from keras_elmo.weights import fetch
from keras_elmo.weights.download import (
    download,
)
from tests.weights.downloads.files import files_in
from tests.weights.file_server import Answer, FileServer


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
    "slow": Answer(b"PK", wait=2.0),
    "empty": Answer(b""),
    "empty without a length": Answer(b"", length=-1),
    "login page": Answer(b"<html>Please log in.</html>"),
}


def patience(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits shorter than the slow answer takes; not for the others, on a busy machine."""
    if kind == "slow":
        monkeypatch.setattr(fetch, "_TIMEOUT", 0.6)


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_a_retry_that_succeeds(
    server: FileServer,
    www: Path,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    patience(kind, monkeypatch)
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
    patience(kind, monkeypatch)
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
    for kind in ("zip", "tar"):
        monkeypatch.setattr(f"keras_elmo.weights.{kind}_archive.MOST_BYTES", 1_000_000)
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
