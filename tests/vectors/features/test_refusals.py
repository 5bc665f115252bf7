"""Files of features: what is refused, and leaves nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.vectors import TokenFeatures
from tests.tiny_models import TINY
from tests.vectors.features.small_jobs import (
    QUIET,
    TEXTS,
    contents,
)


def test_refuses_other_files(pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    path.write_bytes(b"a diary")
    with pytest.raises(FileExistsError, match=r"features.npy' exists, and is no file"):
        compute_features(pooled, TEXTS, path, **QUIET)
    assert contents(path) == {"features.npy": b"a diary"}
    path.unlink()
    compute_features(pooled, TEXTS, path, **QUIET)
    np.save(path, np.zeros(3))
    with pytest.raises(FileExistsError, match=r"Name another file, or delete it"):
        compute_features(pooled, TEXTS, path, **QUIET)
    path.unlink()
    # What its record says is no longer there.
    features = compute_features(pooled, TEXTS, path, **QUIET)
    np.testing.assert_allclose(features, pooled(TEXTS), atol=1e-6)
    (tmp_path / "features.npy.json").write_text("{")
    with pytest.raises(ValueError, match=r"cannot read .*features.npy.json'.* Delete it"):
        compute_features(pooled, TEXTS, path, **QUIET)


def test_what_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "pooled_layers")
    layer.set_weights([weight * 1e6 for weight in layer.get_weights()])
    with pytest.raises(ValueError, match="number 4 do not fit float16: the largest is"):
        compute_features(layer, TEXTS, tmp_path / "a.npy", dtype="float16", **QUIET)
    assert not list(tmp_path.iterdir())


def test_no_room_on_the_disk(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(
        OSError, match=r"needs 1,344 bytes; .* has 100 left. Name a file on"
    ):
        compute_features(pooled, TEXTS, tmp_path / "a.npy", **QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"output_mode": "default"}, ValueError, "must have output_mode='pooled_layers'"),
        ({"output_mode": "elmo"}, ValueError, "or 'layers'; got 'elmo'"),
        ({"input_mode": "tokens"}, ValueError, "must have input_mode='sentences'; got"),
        ({"stateful": True}, ValueError, "it must have stateful=False; got True"),
        ({"texts": "one"}, TypeError, "got the single text 'one'"),
        ({"dtype": "int8"}, ValueError, "dtype must be one of 'float32', 'float16'; got"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer; got 0"),
        ({"token_budget": None}, ValueError, "token_budget must be a positive integer"),
        ({"progress": 1}, ValueError, "progress must be True or False; got 1"),
        ({"path": "none/a.npy"}, FileNotFoundError, "there is no directory 'none'. Make"),
        ({"layer": 3}, TypeError, "layer must be an ElmoEmbeddingLayer; got 3 of type int"),
    ],
)
def test_refuses(
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"texts": TEXTS, "path": "a.npy", **arguments}
    modes = ("output_mode", "input_mode", "stateful")
    settings = {name: options.pop(name) for name in modes if name in options}
    layer = ElmoEmbeddingLayer(TINY, **{"output_mode": "pooled_layers", **settings})
    with pytest.raises(error, match=message):
        compute_features(**{"layer": layer, **options})
    assert not list(tmp_path.iterdir())


def test_token_features_checks_its_parts(tmp_path: Path) -> None:
    values = np.zeros((5, 3, 4), np.float32)
    for offsets in ([0, 4], [1, 5], [], [[0, 5]]):
        with pytest.raises(ValueError, match="offsets must lead from 0 to the 5 rows"):
            TokenFeatures(values, np.array(offsets))
    with pytest.raises(ValueError, match="offsets must not descend"):
        TokenFeatures(values, np.array([0, 4, 2, 5]))
    features = TokenFeatures(values, np.array([0, 2, 5]))
    with pytest.raises(IndexError, match="index 2 is out of range: there are 2 texts"):
        features[2]
    with pytest.raises(TypeError, match="index must be an integer; got 'a'"):
        features["a"]
    assert [len(row) for row in features] == [2, 3]
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.npy'"):
        TokenFeatures.load(tmp_path / "none.npy")
