"""Handles of modules, resolved at a server on this machine that acts as tfhub.dev does."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.hub.sources import load_source
from tests.tiny_models import TINY, random_arrays
from tests.weights.file_server import Answer, FileServer, serving

ASKED = "/google/elmo/3?tf-hub-format=compressed"


@pytest.fixture
def hub(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileServer]:
    """Redirects a handle to an archive."""
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    (tmp_path / "www").mkdir()
    with tarfile.open(tmp_path / "www" / "elmo-3.tar.gz", "w:gz") as archive:
        for path in sorted(module.iterdir()):
            archive.add(path, path.name)
    with serving(tmp_path / "www") as server:
        server.redirect(ASKED, "/elmo-3.tar.gz")
        yield server


def handle(hub: FileServer) -> str:
    return f"{hub.url}/google/elmo/3"


def assert_is_the_module(source: str) -> None:
    config, arrays, _ = load_source(source)
    assert config == TINY
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(arrays[name], expected)


def test_a_handle(hub: FileServer, module: Path) -> None:
    assert_is_the_module(handle(hub))
    layer = ElmoEmbeddingLayer(handle(hub))
    np.testing.assert_array_equal(layer(["a b"]), ElmoEmbeddingLayer(module)(["a b"]))
    engine = ElmoEmbeddingLayer(handle(hub), engine="hub")
    np.testing.assert_allclose(engine(["a b"]), layer(["a b"]), rtol=0, atol=1e-6)
    assert hub.requests == [ASKED, "/elmo-3.tar.gz"]
    hub.answers[ASKED] = [Answer(status=404)]
    assert_is_the_module(handle(hub))  # from the cache


def test_a_handle_with_a_query(hub: FileServer) -> None:
    hub.redirect("/elmo?a=1&tf-hub-format=compressed", "/elmo-3.tar.gz")
    assert_is_the_module(f"{hub.url}/elmo?a=1")


def test_a_cache_of_tensorflow_hub(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read, and never changed."""
    default = "https://tfhub.dev/google/elmo/3"
    copy = tmp_path / hashlib.sha1(default.encode()).hexdigest()
    shutil.copytree(module, copy)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    assert_is_the_module(default)
    index = copy / "variables" / "variables.index"
    index.write_bytes(b"damaged")
    with pytest.raises(SourceError, match="Cannot read the variables"):
        load_source(default)
    assert index.read_bytes() == b"damaged"


def test_no_tensorflow_hub(hub: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what it imports, which newer versions of setuptools do not have."""
    for name in ("tensorflow_hub", "pkg_resources"):
        monkeypatch.setitem(sys.modules, name, None)
    assert_is_the_module(handle(hub))


def test_no_network(hub: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a machine without a network has it: no name resolves.
    def no_network(*_: object, **__: object) -> None:
        raise OSError(-3, "Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    with pytest.raises(
        SourceError,
        match=r"Cannot get the module 'https://tfhub.dev/google/elmo/3': Cannot download "
        r".*resolution.* name its path as source.* set TFHUB_CACHE_DIR to a cache",
    ):
        ElmoEmbeddingLayer()


@pytest.mark.parametrize("source", ["gs://bucket/elmo", "file:///elmo", "s3://elmo"])
def test_addresses_of_other_kinds(source: str) -> None:
    with pytest.raises(SourceError, match=rf"source '{source}': expected an http\(s\) URL"):
        ElmoEmbeddingLayer(source)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_handle_that_is_not_there(hub: FileServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Cannot get the module .* answers 404"):
        ElmoEmbeddingLayer(f"{hub.url}/google/elmo/4")
    assert files_in(tmp_path / "cache") == []


def test_an_archive_of_no_module(hub: FileServer) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.addfile(tarfile.TarInfo("tfhub_module.pb"))
    hub.answers["/elmo-3.tar.gz"] = [Answer(buffer.getvalue())]
    with pytest.raises(SourceError, match=r"source 'http.*/elmo/3': expected one options"):
        ElmoEmbeddingLayer(handle(hub))


def test_damage_on_the_disk(hub: FileServer, tmp_path: Path) -> None:
    path = load_source(handle(hub)).path
    (path / "variables" / "variables.index").write_bytes(b"")
    assert_is_the_module(handle(hub))
    assert hub.requests == 2 * [ASKED, "/elmo-3.tar.gz"]


def test_40_cut_or_changed_downloads(hub: FileServer, tmp_path: Path) -> None:
    """The right module from a retry; and if there is none, an error that leaves nothing."""
    content = (tmp_path / "www" / "elmo-3.tar.gz").read_bytes()
    rng = np.random.default_rng(0)
    n_errors = 0
    for attempt in range(40):
        body = bytearray(content)
        if attempt % 2:
            del body[rng.integers(len(body)) :]
        else:
            for place in rng.integers(10, len(body), size=3):
                body[place] ^= int(rng.integers(1, 256))
        bad = Answer(bytes(body), length=len(content))
        good = Answer(content)
        hub.answers["/elmo-3.tar.gz"] = (
            [bad, good] if attempt % 4 > 1 else [bad] * 4 + [good]
        )
        try:
            assert_is_the_module(handle(hub))
        except SourceError:
            n_errors += 1
            assert files_in(tmp_path / "cache") == []
            assert_is_the_module(handle(hub))
        shutil.rmtree(tmp_path / "cache")
    assert n_errors == 20


def test_gzip_bombs(hub: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_elmo.weights.tar_archive.MOST_BYTES", 1_000_000)
    hub.answers["/elmo-3.tar.gz"] = [Answer(gzip.compress(bytes(1_000_001)))]
    with pytest.raises(SourceError, match=r"Cannot get the module .* more than the 1,000"):
        load_source(handle(hub))


# ------------------------------------------------------------------------------- Kaggle


@pytest.fixture
def kagglehub(module: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Acts as kagglehub with the module in its cache; notes what it is asked for."""
    asked: list[str] = []

    def model_download(handle: str) -> str:
        asked.append(handle)
        if not handle.startswith("google/elmo/"):
            raise ValueError(f"Invalid model handle: {handle}")
        return os.fspath(module)

    import kagglehub

    monkeypatch.setattr(kagglehub, "model_download", model_download)
    return asked


@pytest.mark.parametrize(
    "source",
    [
        "kaggle://google/elmo/tensorFlow1/elmo/3",
        "https://www.kaggle.com/models/google/elmo/tensorFlow1/elmo/3",
        "https://kaggle.com/models/google/elmo/tensorFlow1/elmo/3/",
    ],
)
def test_kaggle_handles(kagglehub: list[str], source: str) -> None:
    assert_is_the_module(source)
    assert kagglehub == ["google/elmo/tensorFlow1/elmo/3"]


def test_a_wrong_kaggle_handle(kagglehub: list[str]) -> None:
    with pytest.raises(
        SourceError, match=r"Cannot get the module 'kaggle://nothing' .*Invalid"
    ):
        ElmoEmbeddingLayer("kaggle://nothing")


def test_kaggle_without_kagglehub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(SourceError, match=r"pip install 'keras-elmo\[kaggle\]'"):
        ElmoEmbeddingLayer("kaggle://google/elmo/tensorFlow1/elmo/3")


def test_kagglehubs_own_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    import kagglehub

    def fail(handle: str) -> str:
        raise kagglehub.exceptions.BackendError("the backend is down")

    monkeypatch.setattr(kagglehub, "model_download", fail)
    with pytest.raises(
        SourceError, match=r"BackendError: the backend is down.*KAGGLEHUB_CACHE"
    ):
        ElmoEmbeddingLayer("kaggle://google/elmo/tensorFlow1/elmo/3")
