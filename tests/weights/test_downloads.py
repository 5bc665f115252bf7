"""Files and models from the web, from servers that behave and from others."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import hashlib
import os
import random
import shutil
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError
from keras_elmo.weights import download as download_module
from keras_elmo.weights.download import (
    cache_directory,
    download,
    download_named_model,
    forget,
    is_cached,
)
from keras_elmo.weights.named_models import MODELS, NamedModel, list_models
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY, random_arrays
from tests.weights.file_server import Answer, FileServer, serving

pytestmark = pytest.mark.usefixtures("cache")


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def assert_loads(source: str | Path) -> None:
    model = load_source(source)
    assert model.config == TINY
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(model.arrays[name], expected)


# ------------------------------------------------------------------------------ models


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("model.zip", ["model.zip"]),
        ("model.zip?download=1", ["model.zip"]),
        ("module.tar.gz", ["module.tar.gz"]),
        ("module.tgz", ["module.tgz"]),
        ("model/weights.hdf5", ["options.json", "weights.hdf5"]),
        ("prefixed/x_weights.hdf5", ["x_options.json", "x_weights.hdf5"]),
        ("prefixed/x_weights.h5", ["x_options.json", "x_weights.h5"]),
    ],
)
def test_a_model_is_downloaded_once(
    www: Path, cache: Path, name: str, files: list[str]
) -> None:
    with serving(www) as server:
        url = f"{server.url}/{name}"
        for _ in range(2):
            assert_loads(url)
            assert len(server.requests) == len(files)
    assert_loads(url)  # without the server
    (folder,) = cache.iterdir()
    assert folder.name == sha256(url.encode())[:16]
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == files
    assert all(headers["Accept-Encoding"] == "identity" for headers in server.headers)


def test_a_layer_from_a_url(server: FileServer) -> None:
    from_url = ElmoEmbeddingLayer(f"{server.url}/model.zip")(["a b"])
    from_path = ElmoEmbeddingLayer(download(f"{server.url}/model.zip"))(["a b"])
    np.testing.assert_array_equal(from_url, from_path)


def test_nothing_is_fetched_for_a_model_without_options(server: FileServer) -> None:
    server.answers["/model/options.json"] = [Answer(status=404)]
    with pytest.raises(SourceError, match=r"Cannot download '.*/model/options.json'"):
        load_source(f"{server.url}/model/weights.hdf5")
    assert server.requests == ["/model/options.json"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://127.0.0.1/model.bin", "its path ends in none of .zip, .tar.gz, .tgz, .h"),
        ("https://127.0.0.1/model.zip/", "its path ends in none of"),
        ("https://127.0.0.1", "its path ends in none of"),
        ("ftp://127.0.0.1/model.zip", r"expected an http\(s\) URL"),
        ("file:///etc/model.zip", r"expected an http\(s\) URL"),
        ("gs://bucket/model.zip", r"expected an http\(s\) URL"),
        ("http:///model.zip", r"expected an http\(s\) URL"),
        ("http://[::1/model.zip", r"expected an http\(s\) URL"),
    ],
)
def test_urls_of_no_model(url: str, message: str) -> None:
    with pytest.raises(SourceError, match=rf"source '.*': {message}"):
        load_source(url)


def test_urls_of_no_file() -> None:
    for url in ("http://127.0.0.1", "http://127.0.0.1/a/", "http://127.0.0.1/a/.."):
        with pytest.raises(SourceError, match=r"does not end in the name of a file"):
            download(url)
    with pytest.raises(SourceError, match=r"Cannot download .*99999.*Check the address"):
        download("http://127.0.0.1:99999/model.zip")


def test_no_network(cache: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/elmo_weights.hdf5"
        with pytest.raises(
            SourceError,
            match=r"Cannot download .*elmo_options.json.*name its path as source",
        ):
            load_source(url)
    assert files_in(cache) == []


# ------------------------------------------------------------------------------- files


def test_a_file_has_the_usual_permissions(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    path = download(f"{server.url}/model.zip")
    usual = (tmp_path / "usual").stat().st_mode
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual)


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


@pytest.mark.parametrize("known", [True, False])
def test_a_known_file(server: FileServer, www: Path, known: bool) -> None:
    content = (www / "model" / "weights.hdf5").read_bytes()
    checksum = sha256(content).upper() if known else None
    url = f"{server.url}/model/weights.hdf5"
    for bad in (b"", content[:-1], content + b"x", bytes(len(content))):
        path = download(url, sha256=checksum, size=len(content))
        assert path.read_bytes() == content
        # What was changed on the disk is found by its size, or else by its SHA-256.
        if known or len(bad) != len(content):
            path.write_bytes(bad)
            server.requests.clear()
            assert download(url, sha256=checksum, size=len(content)) == path
            assert path.read_bytes() == content
            assert len(server.requests) == 1


def test_two_at_once(server: FileServer, cache: Path, www: Path) -> None:
    # Neither gets its file before the other has asked for it too.
    content = (www / "model.zip").read_bytes()
    server.answers["/model.zip"] = [Answer(content, together=threading.Barrier(2))]
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(download, 2 * [f"{server.url}/model.zip"]))
    assert len(server.requests) == 2
    assert paths == 2 * files_in(cache)
    assert paths[0].read_bytes() == content


def test_another_process_had_more_luck(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(files: pooch.Pooch, name: str, **_: object) -> str:
        files.path.mkdir(parents=True)
        (files.path / name).write_bytes(b"the other's")
        raise PermissionError(errno.EACCES, "in use")  # as on Windows

    monkeypatch.setattr(pooch.Pooch, "fetch", fetch)
    assert download(f"{server.url}/nothing.zip").read_bytes() == b"the other's"


# --------------------------------------------------------------------------- bad answers

PAGE = Answer(b"<html>Please log in.</html>")
PART = b"PK\x03\x04" + bytes(5000)
NO_ZIP = "not a whole .zip file: File is not a zip file"
NO_GZIP = "not a whole .tar.gz or .tgz file: Not a gzipped file"
NO_HDF5 = "not a whole .hdf5 or .h5 file: .*file signature not found"


def zip_bomb() -> bytes:
    path = Path(os.environ["KERAS_ELMO_CACHE"]).with_name("bomb.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("options.json", bytes(1_000_001))
    return path.read_bytes()


def evil_zip() -> bytes:
    path = Path(os.environ["KERAS_ELMO_CACHE"]).with_name("evil.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil", b"")
    return path.read_bytes()


def redirect(target: str) -> Answer:
    return Answer(status=302, headers={"Location": target})


# The file, the answer, the message, and whether another try may help.
BAD_ANSWERS: dict[str, tuple[str, Answer | Callable[[], bytes], str, bool]] = {
    **{
        str(status): (
            "a.zip",
            Answer(status=status),
            f"server answers {status} ",
            False,
        )
        for status in (401, 403, 404, 410, 204)
    },
    **{
        str(status): ("a.zip", Answer(status=status), f"{status} .* Error", True)
        for status in (500, 502, 503, 429, 408)
    },
    "part": ("a.zip", Answer(PART, status=206), "server answers 206 Partial Con", False),
    "cut": ("a.zip", Answer(PART, length=100_000), "", True),
    "cut at once": ("a.zip", Answer(b"", length=100_000), "", True),
    "reset": ("a.zip", Answer(PART, length=100_000, reset=True), "", True),
    "reset at once": ("a.zip", Answer(b"", length=100_000, reset=True), "", True),
    "slow": ("a.zip", Answer(b"PK", wait=2.0), "timed out", True),
    "empty": ("a.zip", Answer(b""), "what came is empty", True),
    "empty, unknown": ("a.bin", Answer(b""), "what came is empty", True),
    "empty, no length": ("a.zip", Answer(b"", length=-1), "what came is empty", True),
    **{
        f"page for {name}": (name, PAGE, message, True)
        for name, message in {
            "a.zip": NO_ZIP,
            "a.ZIP": NO_ZIP,
            "a.tar.gz": NO_GZIP,
            "a.tgz": NO_GZIP,
            "a.hdf5": NO_HDF5,
            "a.h5": NO_HDF5,
            "a.json": "not a whole .json file: Expecting value",
        }.items()
    },
    "zip bomb": ("a.zip", zip_bomb, "it unpacks to 1,000,001 bytes", True),
    "gzip bomb": (
        "a.tgz",
        Answer(gzip.compress(bytes(1_000_001))),
        "it unpacks to more than the 1,000,000 bytes",
        True,
    ),
    "evil zip": ("a.zip", evil_zip, "its member '../evil' points out of the arch", True),
    "encoded": (
        "a.zip",
        Answer(gzip.compress(bytes(10_000_000)), headers={"Content-Encoding": "gzip"}),
        "the server answers in the encoding 'gzip'",
        False,
    ),
    "announces much": (
        "a.bin",
        Answer(b"", length=1 << 40),
        "1099511627776 bytes would come, where at most 1,000,000 are expected",
        False,
    ),
    "sends much": ("a.bin", Answer(bytes(1_000_001), length=-1), "more bytes come", False),
    "large options": ("a.json", Answer(bytes(2_000_000), length=-1), "more bytes", False),
    "to a file": ("a.zip", redirect("file:///etc/passwd"), "No connection adap", True),
    "in a circle": ("a.zip", redirect("/a.zip"), "30 redirects", True),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_bad_answers(
    server: FileServer,
    www: Path,
    cache: Path,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    name, answer, message, may_help = BAD_ANSWERS[kind]
    if callable(answer):
        answer = Answer(answer())
    if kind == "slow":  # not for the others, on a busy machine
        monkeypatch.setattr(download_module, "_TIMEOUT", 0.6)
    for module in ("zip_archive", "tar_archive", "download"):
        monkeypatch.setattr(f"keras_elmo.weights.{module}.MOST_BYTES", 1_000_000)
    url, tries = f"{server.url}/{name}", 4 if may_help else 1
    server.answers[f"/{name}"] = [answer]
    with pytest.raises(
        SourceError, match=rf"Cannot download '{url}' into '.*' \(.*{message}.*\)\. Check"
    ):
        download(url)
    assert files_in(cache) == []
    assert pauses == [1, 2, 3][: tries - 1]
    if kind != "in a circle":
        assert len(server.requests) == tries
    if name == "a.zip" and may_help:  # and once the server has recovered
        good = (www / "model.zip").read_bytes()
        server.answers[f"/{name}"] = [answer, answer, Answer(good)]
        if kind != "in a circle":
            assert download(url).read_bytes() == good
            assert len(files_in(cache)) == 1


def test_the_content_of_redirects_is_not_read(server: FileServer, www: Path) -> None:
    """It has no end that requests would wait for."""
    target = {"Location": "/model.zip"}
    server.answers["/a.zip"] = [Answer(b"x" * 100, 302, target, length=1 << 40)]
    path = download(f"{server.url}/a.zip")
    assert path.read_bytes() == (www / "model.zip").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message", "n_requests"),
    [
        ({"sha256": "0" * 64}, r"SHA256 hash .*expected 0{64} but got [0-9a-f]{64}.*", 4),
        ({"size": 10**6}, r"expected 1,000,000 bytes, found \d\d,\d\d\d\)", 4),
        ({"size": 7}, r"\d+ bytes would come, where at most 7 are expected\)", 1),
    ],
)
def test_another_file(
    server: FileServer,
    cache: Path,
    arguments: Any,
    message: str,
    n_requests: int,
) -> None:
    with pytest.raises(SourceError, match=rf"Cannot download .*{message}\. Check the add"):
        download(f"{server.url}/model/weights.hdf5", **arguments)
    assert len(server.requests) == n_requests
    assert files_in(cache) == []


# ------------------------------------------------------- downloads damaged at random


def damaged(content: bytes, rng: random.Random, kind: int) -> Answer:
    """A file that comes cut, with other bytes, or of another size."""
    place = rng.randrange(len(content))
    if kind == 0:  # the server may have said how much would come
        length = rng.choice([len(content), len(content), -1])
        is_reset = length > 0 and rng.random() < 0.3
        return Answer(content[:place], length=length, reset=is_reset)
    if kind == 1:
        body = bytearray(content)
        for _ in range(rng.randint(1, 3)):
            # The ends of files hold their structure: worth as many tries as the middle.
            near = [rng.randrange(100), -1 - rng.randrange(100), rng.randrange(len(body))]
            body[rng.choice(near)] ^= rng.randint(1, 255)
        return Answer(bytes(body))
    more = rng.randbytes(rng.randint(1, 3000)) + content[place:]
    return Answer(content[:place] + rng.choice([b"", b"", more]))


def content_of(path: Path) -> dict[str, bytes]:
    """What is in a file or archive."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    if path.suffix == ".gz":
        with tarfile.open(path) as tar:
            files = {member.name: tar.extractfile(member) for member in tar}
            return {name: file.read() for name, file in files.items() if file}
    return {path.name: path.read_bytes()}


@pytest.mark.parametrize(
    ("name", "is_known", "kinds"),
    [
        ("model.zip", False, 3),
        ("module.tar.gz", False, 3),
        ("model/weights.hdf5", True, 3),
        ("model/weights.hdf5", False, 1),  # cuts are all that can be seen
    ],
)
def test_damage_never_reaches_the_cache(
    server: FileServer, www: Path, cache: Path, name: str, is_known: bool, kinds: int
) -> None:
    """An error that leaves nothing, or a retry that succeeds.

    An archive that arrives changed and unpacks to the same files all the same (a date,
    say) is not damaged.
    """
    content, expected = (www / name).read_bytes(), content_of(www / name)
    checksum = sha256(content) if is_known else None
    url, rng, messages = f"{server.url}/{name}", random.Random(0), []
    for i in range(45):
        n_bad = rng.choice([1, 2, 3, 4, 4, 5])  # there are three retries
        bad = [damaged(content, rng, i % kinds) for _ in range(n_bad)]
        server.answers[f"/{name}"] = [*bad, Answer(content)]
        try:
            path = download(url, sha256=checksum)
        except SourceError as error:
            messages.append(str(error))
            assert files_in(cache) == []
            assert n_bad >= 4
            server.answers.clear()
            path = download(url, sha256=checksum)  # once the server has recovered
        assert content_of(path) == expected
        assert files_in(cache) == [path]
        path.unlink()
    assert 12 <= len(messages) <= 33
    assert all(text.startswith(f"Cannot download '{url}' into ") for text in messages)


# ---------------------------------------------------------------------------- the cache


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


def test_a_cache_that_is_read_only(server: FileServer, cache: Path) -> None:
    path = download(f"{server.url}/model.zip")
    path.chmod(0o400)
    path.parent.chmod(0o500)
    cache.chmod(0o500)
    try:
        assert_loads(f"{server.url}/model.zip")
        if not os.access(cache, os.W_OK):  # root may write everywhere
            with pytest.raises(SourceError, match=r"Permission denied.*Let KERAS_ELMO"):
                download(f"{server.url}/module.tgz")
    finally:
        cache.chmod(0o700)
        path.parent.chmod(0o700)


def test_a_full_disk(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(_: object, url: str, file: object, files: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", write_half)
    with pytest.raises(
        SourceError,
        match=r"Cannot download .*No space left on device\)\. Free some space, or let K",
    ):
        download(f"{server.url}/model.zip")
    assert files_in(cache) == []


@pytest.mark.parametrize(
    ("name", "file", "n_requests"),
    [
        ("model.zip", "model.zip", 2),
        ("module.tar.gz", "weights.hdf5", 2),  # where it was unpacked
        ("model/weights.hdf5", "weights.hdf5", 4),
        ("model/weights.hdf5", "options.json", 4),
    ],
)
def test_damage_on_the_disk(
    server: FileServer, cache: Path, name: str, file: str, n_requests: int
) -> None:
    """It is found when the file is read; everything of the source is downloaded again."""
    load_source(f"{server.url}/{name}")
    (path,) = cache.rglob(file)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    assert_loads(f"{server.url}/{name}")
    assert path.read_bytes() == content
    assert len(server.requests) == n_requests


def test_forget(server: FileServer, cache: Path) -> None:
    url, other = f"{server.url}/model.zip", download(f"{server.url}/module.tgz")
    assert not forget(url)
    download(url)
    assert forget(url)
    assert files_in(cache) == [other]


def test_only_the_cache_is_changed(
    server: FileServer, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path with ``://`` in it is not an address, and links in the cache lead nowhere."""
    monkeypatch.chdir(tmp_path)
    own = Path("mirror", "https://host", "elmo")
    own.mkdir(parents=True)
    (own / "options.json").write_text("{")
    (own / "weights.hdf5").write_bytes(b"damaged")
    (own / "model.zip").write_bytes(b"damaged")
    for source in ("mirror/https://host/elmo", "mirror/https://host/elmo/model.zip"):
        with pytest.raises(SourceError, match="Cannot"):
            load_source(source)
    url = f"{server.url}/model.zip"
    folder = download(url).parent
    shutil.rmtree(folder)
    folder.symlink_to(own.absolute())
    with pytest.raises(SourceError, match=r"' is a link\. Delete it\."):
        load_source(url)
    folder.unlink()
    # A link of the file's name is replaced, and what it leads to is left.
    folder.mkdir()
    (folder / "model.zip").symlink_to((own / "model.zip").absolute())
    (folder / "unpacked").symlink_to(own.absolute())
    assert_loads(url)
    assert sorted(path.name for path in own.iterdir()) == [
        "model.zip",
        "options.json",
        "weights.hdf5",
    ]
    assert (own / "model.zip").read_bytes() == b"damaged"


def test_links_that_lead_out_when_a_download_is_forgotten(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").write_text("kept")
    path = download(f"{server.url}/model.zip")
    (path.parent / "link").symlink_to(tmp_path / "own")
    assert forget(f"{server.url}/model.zip")
    assert (tmp_path / "own" / "file").read_text() == "kept"


# ------------------------------------------------------------------------- named models

KNOWN = {
    # name: shape, parameters and the known size and SHA-256
    "original": (
        "2x4096_512_2048cnn_2xhighway",
        374_434_792,
        "a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994",
    ),
    "original-5.5b": ("2x4096_512_2048cnn_2xhighway_5.5B", None, None),
    "medium": ("2x2048_256_2048cnn_1xhighway", None, None),
    "small": (
        "2x1024_128_2048cnn_1xhighway",
        54_402_456,
        "747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_released_model(name: str) -> None:
    """Its address, size and SHA-256, and what its shape says of the others."""
    model, (shape, size, checksum) = MODELS[name], KNOWN[name]
    base = f"https://allennlp.s3.amazonaws.com/models/elmo/{shape}/elmo_{shape}"
    assert model.weights_url == f"{base}_weights.hdf5"
    assert model.options_url == f"{base}_options.json"
    assert (model.size, model.sha256) == (size, checksum)
    assert "Peters" in model.citation
    assert "10.18653/v1/N18-1202" in model.citation
    assert "github.com/allenai/allennlp/issues/1462" in model.licence
    assert model.embedded_path is None
    dim, projection_dim, highway = (
        int(shape.split("_")[i].split("x")[part]) for i, part in ((0, 1), (1, 0), (3, 0))
    )
    config = ElmoConfig(dim=dim, projection_dim=projection_dim, n_highway=highway)
    assert model.description.startswith(f"{config.n_parameters / 1e6:.1f} million")
    if size is not None:
        assert 0 < size - 4 * config.n_parameters < 40_000


def test_the_list_of_models() -> None:
    models = list_models()
    assert [model.name for model in models] == ["mini", *KNOWN]
    assert models == tuple(MODELS.values())
    mini = models[0]
    assert "10.18653" not in mini.citation
    assert "aclanthology.org/P11-1015" in mini.citation
    assert mini.licence.startswith("Apache-2.0")
    assert is_cached(mini)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        mini.size = 0  # type: ignore[misc]


@pytest.fixture
def tiny(server: FileServer, www: Path, monkeypatch: pytest.MonkeyPatch) -> NamedModel:
    """A model of that name, as if the server on this machine were AllenNLP's."""
    content = (www / "prefixed" / "x_weights.hdf5").read_bytes()
    model = dataclasses.replace(
        MODELS["small"],
        name="tiny",
        weights_url=f"{server.url}/prefixed/x_weights.hdf5",
        options_url=f"{server.url}/model/options.json",  # under another name
        size=len(content),
        sha256=sha256(content),
    )
    monkeypatch.setitem(MODELS, "tiny", model)
    return model


@pytest.mark.parametrize("known", [True, False])
def test_a_named_model(
    tiny: NamedModel, server: FileServer, cache: Path, known: bool
) -> None:
    if not known:
        MODELS["tiny"] = tiny = dataclasses.replace(tiny, size=None, sha256=None)
    assert not is_cached(tiny)
    for _ in range(2):
        assert_loads("tiny")
        assert server.requests == ["/model/options.json", "/prefixed/x_weights.hdf5"]
    assert is_cached(tiny)
    options, weights = files_in(cache)
    assert (options.name, weights.name) == ("x_options.json", "x_weights.hdf5")
    # The same file, named by its address.
    assert load_source(str(tiny.weights_url)).path == load_source("tiny").path == weights
    assert len(server.requests) == 2
    # Damaged on the disk, whatever its size.
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    assert_loads("tiny")
    assert weights.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "SHA256 hash .* expected 0{64} but got [0-9a-f]{64}"),
        ({"size": 10**6}, r"expected 1,000,000 bytes, found \d\d,\d\d\d"),
        ({"weights_url": "/no_weights.hdf5"}, "answers 404"),
        ({"options_url": "/no_options.json"}, "answers 404"),
    ],
)
def test_a_named_model_whose_file_is_another(
    tiny: NamedModel, server: FileServer, cache: Path, change: Any, message: str
) -> None:
    change = {k: server.url + v if k.endswith("url") else v for k, v in change.items()}
    with pytest.raises(SourceError, match=rf"Cannot download 'http.*{message}"):
        download_named_model(dataclasses.replace(tiny, **change))
    assert not [path for path in files_in(cache) if path.suffix == ".hdf5"]


def test_mini_that_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "mini", dataclasses.replace(MODELS["mini"], size=7))
    with pytest.raises(SourceError, match="is not the file that comes with the package"):
        load_source("mini")
