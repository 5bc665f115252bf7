from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoConfig, SourceError
from keras_elmo.weights.download import download_named_model, download_source
from keras_elmo.weights.named_models import MODELS, NamedModel, list_models
from keras_elmo.weights.sources import load_source
from tests.tiny_models import TINY, random_arrays, saved_model
from tests.weights.file_server import Answer, FileServer, serving

# ----------------------------------------------------------------------------- registry


def test_the_models() -> None:
    models = list_models()
    assert [model.name for model in models] == [
        "mini",
        "original",
        "original-5.5b",
        "medium",
        "small",
    ]
    assert models == tuple(MODELS[model.name] for model in models)


def test_where_they_are() -> None:
    base = "https://allennlp.s3.amazonaws.com/models/elmo"
    shapes = {
        "original": "2x4096_512_2048cnn_2xhighway",
        "original-5.5b": "2x4096_512_2048cnn_2xhighway_5.5B",
        "medium": "2x2048_256_2048cnn_1xhighway",
        "small": "2x1024_128_2048cnn_1xhighway",
    }
    for name, shape in shapes.items():
        assert MODELS[name].weights_url == f"{base}/{shape}/elmo_{shape}_weights.hdf5"
        assert MODELS[name].options_url == f"{base}/{shape}/elmo_{shape}_options.json"


def test_how_they_are_known() -> None:
    known = {name: (model.size, model.sha256) for name, model in MODELS.items()}
    assert known.pop("mini") == (MODELS["mini"].size, MODELS["mini"].sha256)
    assert known == {
        "original": (
            374_434_792,
            "a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994",
        ),
        "original-5.5b": (None, None),
        "medium": (None, None),
        "small": (
            54_402_456,
            "747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229",
        ),
    }


@pytest.mark.parametrize(
    ("name", "dim", "projection_dim", "n_highway"),
    [
        ("original", 4096, 512, 2),
        ("original-5.5b", 4096, 512, 2),
        ("medium", 2048, 256, 1),
        ("small", 1024, 128, 1),
    ],
)
def test_sizes_are_those_of_the_shapes(
    name: str, dim: int, projection_dim: int, n_highway: int
) -> None:
    """The descriptions' parameters, and the bytes of files that hold little else."""
    config = ElmoConfig(
        char_dim=16,
        filters=((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)),
        n_highway=n_highway,
        n_layers=2,
        dim=dim,
        projection_dim=projection_dim,
    )
    model = MODELS[name]
    assert model.description.startswith(f"{config.n_parameters / 1e6:.1f} million")
    if model.size is not None:
        assert 0 < model.size - 4 * config.n_parameters < 40_000


def test_what_is_said_of_them() -> None:
    mini, *released = list_models()
    assert "10.18653" not in mini.citation
    assert "aclanthology.org/P11-1015" in mini.citation
    assert mini.licence.startswith("Apache-2.0")
    for model in released:
        assert "Peters" in model.citation
        assert "10.18653/v1/N18-1202" in model.citation
        assert "github.com/allenai/allennlp/issues/1462" in model.licence
        assert model.embedded_path is None
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
            model.size = 0  # type: ignore[misc]


# ---------------------------------------------------------------------------- downloads


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    model = saved_model(tmp_path / "www")
    (model / "weights.hdf5").rename(model / "elmo_tiny_weights.hdf5")
    (model / "options.json").rename(model / "elmo_tiny_options.json")
    with serving(model) as running:
        yield running


@pytest.fixture
def tiny(server: FileServer, tmp_path: Path) -> NamedModel:
    """The small model, as if the server on this machine were AllenNLP's."""
    content = (tmp_path / "www" / "elmo_tiny_weights.hdf5").read_bytes()
    return dataclasses.replace(
        MODELS["small"],
        weights_url=f"{server.url}/elmo_tiny_weights.hdf5",
        options_url=f"{server.url}/elmo_tiny_options.json",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def names_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_downloads_once(tiny: NamedModel, server: FileServer, cache: Path) -> None:
    for _ in range(2):
        path = download_named_model(tiny)
        model = load_source(path)
        assert model.config == TINY
        for name, expected in random_arrays(TINY).items():
            np.testing.assert_array_equal(model.arrays[name], expected)
        assert server.requests == ["/elmo_tiny_options.json", "/elmo_tiny_weights.hdf5"]
    assert names_in(cache) == ["elmo_tiny_options.json", "elmo_tiny_weights.hdf5"]
    # The same file, named by its address.
    assert download_source(tiny.weights_url) == path
    assert len(server.requests) == 2


def test_by_name(
    tiny: NamedModel, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "tiny", tiny)
    assert load_source("tiny").config == TINY
    assert load_source("tiny").path == download_named_model(tiny)
    assert len(server.requests) == 2


def test_options_of_another_name(
    tiny: NamedModel, server: FileServer, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "www" / "elmo_tiny_options.json").rename(tmp_path / "www" / "other.json")
    model = dataclasses.replace(tiny, options_url=f"{server.url}/other.json")
    assert load_source(download_named_model(model)).config == TINY
    assert names_in(cache) == ["elmo_tiny_options.json", "elmo_tiny_weights.hdf5"]


def test_a_model_of_unknown_size_and_sha256(tiny: NamedModel, server: FileServer) -> None:
    model = dataclasses.replace(tiny, size=None, sha256=None)
    server.answers["/elmo_tiny_weights.hdf5"] = [Answer(b"<html>")]
    with pytest.raises(SourceError, match="what came is not a whole HDF5 file"):
        download_named_model(model)
    server.answers.clear()
    assert load_source(download_named_model(model)).config == TINY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "SHA256 hash .* expected 0{64} but got [0-9a-f]{64}"),
        ({"size": 7}, r"expected 7 bytes, found \d\d,\d\d\d"),
        ({"weights_url": "/no_weights.hdf5"}, "answers 404"),
        ({"options_url": "/no_options.json"}, "answers 404"),
    ],
)
def test_another_file(
    tiny: NamedModel, server: FileServer, cache: Path, change: dict[str, str], message: str
) -> None:
    if any(name.endswith("url") for name in change):
        change = {name: server.url + path for name, path in change.items()}
    with pytest.raises(SourceError, match=rf"Cannot download 'http.*{message}"):
        download_named_model(dataclasses.replace(tiny, **change))
    assert not [name for name in names_in(cache) if name.endswith("hdf5")]


def test_a_damaged_file_is_replaced_where_its_size_tells(
    tiny: NamedModel, server: FileServer
) -> None:
    path = download_named_model(tiny)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert download_named_model(tiny).read_bytes() == content
    assert len(server.requests) == 3
