"""Handles of modules, resolved at a server on this machine that acts as tfhub.dev does."""

from __future__ import annotations

import http.server
import io
import os
import sys
import tarfile
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.errors import DamagedSourceError
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY, random_arrays


class HubHandler(http.server.BaseHTTPRequestHandler):
    """Redirects handles to archives, as tfhub.dev does."""

    server: HubServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/google/elmo/3":
            assert parse_qs(parts.query) == {"tf-hub-format": ["compressed"]}
            self.send_response(302)
            self.send_header("Location", "/storage/elmo-3.tar.gz")
            self.end_headers()
        elif parts.path == "/storage/elmo-3.tar.gz":
            body = self.server.bodies.pop(0) if self.server.bodies else self.server.archive
            self.server.n_downloads += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.archive)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_error(404)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


class HubServer(http.server.ThreadingHTTPServer):
    """Serves ``bodies`` first, one for each download, then ``archive``."""

    archive: bytes
    bodies: list[bytes]
    n_downloads = 0

    @property
    def handle_url(self) -> str:
        """The module's handle."""
        return f"http://127.0.0.1:{self.server_port}/google/elmo/3"


@pytest.fixture
def archive(module: Path) -> bytes:
    """The module, packed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for path in sorted(module.iterdir()):
            file.add(path, path.name)
    return buffer.getvalue()


@pytest.fixture
def hub(
    archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HubServer]:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub_cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with HubServer(("127.0.0.1", 0), HubHandler) as server:
        server.archive, server.bodies = archive, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def cached(tmp_path: Path) -> list[str]:
    """What the hub's cache holds."""
    folder = tmp_path / "hub_cache"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def assert_is_the_module(source: str) -> None:
    config, arrays, _ = load_source(source)
    assert config == TINY
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(arrays[name], expected)


def test_a_handle(hub: HubServer, module: Path, tmp_path: Path) -> None:
    assert_is_the_module(hub.handle_url)
    layer = ElmoEmbeddingLayer(hub.handle_url)
    np.testing.assert_array_equal(layer(["a b"]), ElmoEmbeddingLayer(module)(["a b"]))
    engine = ElmoEmbeddingLayer(hub.handle_url, engine="hub")
    np.testing.assert_allclose(engine(["a b"]), layer(["a b"]), atol=1e-6)
    assert hub.n_downloads == 1
    assert len(cached(tmp_path)) == 2  # the module and its descriptor


def test_offline_from_the_hubs_cache(hub: HubServer) -> None:
    load_source(hub.handle_url)
    hub.shutdown()
    hub.server_close()
    assert_is_the_module(hub.handle_url)


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub_cache"))
    # As a machine without a network has it: no name resolves.
    monkeypatch.setattr("socket.getaddrinfo", _no_network)
    with pytest.raises(
        SourceError,
        match=r"Cannot get the module 'https://tfhub.dev/google/elmo/3' \(URLError: .*"
        r"set TFHUB_CACHE_DIR to a cache .* name its directory as source",
    ):
        ElmoEmbeddingLayer()
    assert [name for name in cached(tmp_path) if not name.endswith(".lock")] == []


def _no_network(*_: object, **__: object) -> None:
    raise OSError(-3, "Temporary failure in name resolution")


def test_a_handle_that_is_not_there(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Cannot get the module .* HTTP Error 404"):
        ElmoEmbeddingLayer(hub.handle_url.replace("elmo/3", "elmo/4"))
    assert cached(tmp_path) == []


def test_a_module_that_lacks_files_is_fetched_once_more(
    hub: HubServer, tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.addfile(tarfile.TarInfo("tfhub_module.pb"))
    hub.archive = buffer.getvalue()
    with pytest.raises(
        DamagedSourceError, match=r"lacks saved_model.pb and variables/variables.index"
    ):
        ElmoEmbeddingLayer(hub.handle_url)
    assert hub.n_downloads == 2


def test_66_cut_or_changed_downloads(hub: HubServer, tmp_path: Path) -> None:
    """Cut anywhere, or with changed bytes: an error, or the right module from a retry."""
    rng = np.random.default_rng(0)
    messages = []
    for attempt in range(66):
        body = bytearray(hub.archive)
        if attempt % 2:
            del body[rng.integers(len(body)) :]
        else:
            for place in rng.integers(len(body), size=3):
                body[place] ^= int(rng.integers(1, 256))
        hub.bodies = [bytes(body)]
        try:
            assert_is_the_module(hub.handle_url)
        except SourceError as error:
            messages.append(str(error))
            assert_is_the_module(hub.handle_url)
        assert len(cached(tmp_path)) == 2
        _empty(tmp_path / "hub_cache")
    assert len(messages) > 20
    assert all("Cannot get the module" in m or "download" in m for m in messages)


def _empty(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)


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
    "handle",
    [
        "kaggle://google/elmo/tensorFlow1/elmo/3",
        "https://www.kaggle.com/models/google/elmo/tensorFlow1/elmo/3",
        "https://kaggle.com/models/google/elmo/tensorFlow1/elmo/3/",
    ],
)
def test_kaggle_handles(kagglehub: list[str], handle: str) -> None:
    assert_is_the_module(handle)
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

    def fail(handle: str) -> types.NoneType:
        raise kagglehub.exceptions.BackendError("the backend is down")

    monkeypatch.setattr(kagglehub, "model_download", fail)
    with pytest.raises(
        SourceError, match=r"BackendError: the backend is down.*KAGGLEHUB_CACHE"
    ):
        ElmoEmbeddingLayer("kaggle://google/elmo/tensorFlow1/elmo/3")
