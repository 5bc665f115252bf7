"""Models by their URL, and URLs that cannot be one's."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.weights.download import (
    cache_directory,
    download,
    download_source,
)
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY, random_arrays
from tests.weights.downloads.files import files_in
from tests.weights.file_server import Answer, FileServer


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
