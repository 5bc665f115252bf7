"""Handles of modules, resolved at a server on this machine that acts as tfhub.dev does."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import kagglehub
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.hub.sources import load_source
from tests.weights.checks import assert_loads, files_in
from tests.weights.file_server import Answer, FileServer, serving

ASKED = "/google/elmo/3?tf-hub-format=compressed"


@pytest.fixture
def hub(module: Path, tmp_path: Path, cache: Path) -> Iterator[FileServer]:
    """Redirects a handle to an archive."""
    (tmp_path / "www").mkdir()
    with tarfile.open(tmp_path / "www" / "elmo-3.tar.gz", "w:gz") as archive:
        for path in sorted(module.iterdir()):
            archive.add(path, path.name)
    with serving(tmp_path / "www") as server:
        server.redirect(ASKED, "/elmo-3.tar.gz")
        server.redirect("/elmo?a=1&tf-hub-format=compressed", "/elmo-3.tar.gz")
        yield server


@pytest.fixture
def handle(hub: FileServer) -> str:
    return f"{hub.url}/google/elmo/3"


def test_a_handle(
    hub: FileServer, handle: str, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing of these is needed; newer versions of setuptools do not have the second.
    for name in ("tensorflow_hub", "pkg_resources"):
        monkeypatch.setitem(sys.modules, name, None)
    assert_loads(handle)
    layer = ElmoEmbeddingLayer(handle)
    np.testing.assert_array_equal(layer(["a b"]), ElmoEmbeddingLayer(module)(["a b"]))
    engine = ElmoEmbeddingLayer(handle, engine="hub")
    np.testing.assert_allclose(engine(["a b"]), layer(["a b"]), rtol=0, atol=1e-6)
    assert hub.requests == [ASKED, "/elmo-3.tar.gz"]
    hub.answers[ASKED] = [Answer(status=404)]
    assert_loads(handle)  # from the cache
    assert_loads(f"{hub.url}/elmo?a=1")


def test_a_cache_of_tensorflow_hub(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read, and never changed."""
    default = "https://tfhub.dev/google/elmo/3"
    copy = tmp_path / hashlib.sha1(default.encode()).hexdigest()
    shutil.copytree(module, copy)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    assert_loads(default)
    index = copy / "variables" / "variables.index"
    index.write_bytes(b"damaged")
    with pytest.raises(SourceError, match="Cannot read the variables"):
        load_source(default)
    assert index.read_bytes() == b"damaged"


def test_no_network(hub: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a machine without a network has it: no name resolves.
    def no_network(*_: object, **__: object) -> None:
        raise OSError(-3, "Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    message = (
        r"Cannot get the module 'https://tfhub.dev/google/elmo/3': Cannot download "
        r".*resolution.* pass its path as source.* set TFHUB_CACHE_DIR to a cache.*"
        r"\. The source 'mini' works offline: .*, for first tests and for film reviews\.$"
    )
    with pytest.raises(SourceError, match=message):
        ElmoEmbeddingLayer()


def test_nothing_and_no_module(hub: FileServer, handle: str, cache: Path) -> None:
    with pytest.raises(SourceError, match=r"Cannot get the module .* answered 404"):
        load_source(f"{hub.url}/google/elmo/4")
    assert files_in(cache) == {}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.addfile(tarfile.TarInfo("tfhub_module.pb"))
    hub.answers["/elmo-3.tar.gz"] = [Answer(buffer.getvalue())]
    with pytest.raises(SourceError, match=r"source 'http.*/elmo/3': expected one options"):
        load_source(handle)


def test_damage_on_the_disk(hub: FileServer, handle: str) -> None:
    (assert_loads(handle) / "variables" / "variables.index").write_bytes(b"")
    assert_loads(handle)
    assert hub.requests == 2 * [ASKED, "/elmo-3.tar.gz"]


@pytest.mark.parametrize("address", ["kaggle://", "https://www.kaggle.com/models/", "kag"])
def test_kaggle_handles(
    module: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """What kagglehub is asked for; it has the module in its cache."""
    asked: list[str] = []
    monkeypatch.setattr(
        kagglehub, "model_download", lambda name: asked.append(name) or os.fspath(module)
    )
    name = "google/elmo/tensorFlow1/elmo/3"
    source = f"https://kaggle.com/models/{name}/" if address == "kag" else address + name
    assert_loads(source)
    assert asked == [name]


def test_kaggle_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match=r"get the module 'kaggle://nothing' .*Invalid"):
        load_source("kaggle://nothing")

    def fail(handle: str) -> str:
        raise kagglehub.exceptions.BackendError("the backend is down")

    monkeypatch.setattr(kagglehub, "model_download", fail)
    message = r"BackendError: the backend is down.*KAGGLEHUB_CACHE"
    with pytest.raises(SourceError, match=message):
        load_source("kaggle://google/elmo/tensorFlow1/elmo/3")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(SourceError, match=r"pip install 'keras-elmo\[kaggle\]'"):
        load_source("kaggle://google/elmo/tensorFlow1/elmo/3")
