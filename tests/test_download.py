"""Downloads from a server on this machine."""

from __future__ import annotations

import http.server
import socket
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.weights.download import cache_directory
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY, saved_model


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, counts them, and cuts those whose path says so."""

    requests: list[str] = []  # noqa: RUF012 (the server makes a handler for each request)

    def do_GET(self) -> None:
        self.requests.append(self.path)
        if "cut" not in self.path:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(bytes(5000))

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    model = saved_model(tmp_path / "www" / "model")
    with zipfile.ZipFile(tmp_path / "www" / "model.zip", "w") as file:
        for path in model.iterdir():
            file.write(path, path.name)
    prefixed = tmp_path / "www" / "prefixed"
    prefixed.mkdir()
    (prefixed / "x_weights.hdf5").write_bytes((model / "weights.hdf5").read_bytes())
    (prefixed / "x_options.json").write_bytes((model / "options.json").read_bytes())
    Handler.requests.clear()
    handler = partial(Handler, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "cache"))
    # A proxy has no part in a request to this machine.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.mark.parametrize(
    "name", ["model.zip", "model/weights.hdf5", "prefixed/x_weights.hdf5"]
)
def test_downloads_once(server: str, cache: Path, name: str) -> None:
    assert load_source(f"{server}/{name}")[0] == TINY
    n_requests = len(Handler.requests)
    assert load_source(f"{server}/{name}")[0] == TINY
    assert len(Handler.requests) == n_requests == (1 if name.endswith("zip") else 2)
    assert ElmoEmbeddingLayer(f"{server}/{name}")(["a"]).shape == (1, 16)
    assert all(path.is_relative_to(cache) for path in cache.rglob("*"))


def test_works_offline_from_the_cache(server: str) -> None:
    load_source(f"{server}/model.zip")
    Handler.requests.clear()
    load_source(f"{server}/model.zip")
    assert Handler.requests == []


def test_a_file_that_is_not_there(server: str, cache: Path) -> None:
    with pytest.raises(SourceError, match=r"Cannot download 'http.*nothing.zip' .*404"):
        load_source(f"{server}/nothing.zip")
    assert [p for p in cache.rglob("*") if p.is_file()] == []


def test_a_download_that_is_cut(server: str, cache: Path) -> None:
    with pytest.raises(SourceError, match=r"Cannot download .*cut.zip.*Check the address"):
        load_source(f"{server}/cut.zip")
    assert [p for p in cache.rglob("*") if p.is_file()] == []


def test_no_network(cache: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/elmo_weights.hdf5"
        with pytest.raises(
            SourceError,
            match=r"Cannot download .*elmo_options.json.*name its path as source",
        ):
            ElmoEmbeddingLayer(url)
    assert [p for p in cache.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://tfhub.dev/google/elmo/3",
        "ftp://127.0.0.1/model.zip",
        "file:///etc/model.zip",
        "https://127.0.0.1/model.tar.gz",
        "https://127.0.0.1",
    ],
)
def test_other_urls(url: str) -> None:
    with pytest.raises(
        SourceError, match=f"source '{url}': .* downloads .zip and .hdf5 files"
    ):
        ElmoEmbeddingLayer(url)


def test_the_default_source_says_that_it_cannot_be_read() -> None:
    with pytest.raises(
        SourceError, match=r"google/elmo/3.* does not read TF-Hub or Kaggle"
    ):
        ElmoEmbeddingLayer()


def test_cache_directory(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory() == cache
    monkeypatch.delenv("KERAS_ELMO_CACHE")
    assert cache_directory().name == "keras-elmo"
