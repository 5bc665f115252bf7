"""Files of features: what is in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.vectors import TokenFeatures
from tests.tiny_models import TINY
from tests.vectors.features.small_jobs import (
    LENGTHS,
    QUIET,
    TEXTS,
)


def test_pooled(pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(pooled, TEXTS, path, **QUIET)
    assert isinstance(features, np.memmap)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, pooled(TEXTS), atol=1e-6)
    np.testing.assert_array_equal(features[1], np.zeros((3, 16)))
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), features)
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "features.npy",
        "features.npy.json",
    ]


def test_of_tokens(tokens: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(tokens, TEXTS, path, **QUIET)
    assert isinstance(features, TokenFeatures)
    assert isinstance(features.values, np.memmap)
    assert features.values.shape == (sum(LENGTHS), 3, 16)
    assert features.lengths.tolist() == LENGTHS
    assert len(features) == len(TEXTS)
    expected = np.asarray(tokens(TEXTS))
    for i, length in enumerate(LENGTHS):
        np.testing.assert_allclose(features[i], expected[i, :length], atol=1e-6)
    np.testing.assert_array_equal(features[-1], features[6])
    np.testing.assert_array_equal(features[1], np.zeros((0, 3, 16)))
    padded = features.padded(np.array([4, 0, 1]))
    np.testing.assert_allclose(padded, expected[[4, 0, 1], :3], atol=1e-6)
    assert features.padded(np.array([1])).shape == (1, 1, 3, 16)
    again = TokenFeatures.load(path)
    np.testing.assert_array_equal(again.values, features.values)
    np.testing.assert_array_equal(again.offsets, features.offsets)


def test_max_tokens(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "layers", max_tokens=2)
    features = compute_features(layer, TEXTS, tmp_path / "features.npy", **QUIET)
    assert features.lengths.tolist() == [2, 0, 2, 2, 1, 2, 1]
    expected = np.asarray(layer(TEXTS))
    np.testing.assert_allclose(features[3], expected[3], atol=1e-6)


def test_half_precision(pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(pooled, TEXTS, path, dtype="float16", **QUIET)
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, pooled(TEXTS), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("mode", ["pooled_layers", "layers"])
def test_texts_without_tokens(mode: Any, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, mode)
    features = compute_features(layer, ["", " "], tmp_path / "features.npy", **QUIET)
    if mode == "layers":
        assert features.values.shape == (0, 3, 16)
        features = features.padded(np.array([0, 1]))[:, 0]
    np.testing.assert_array_equal(features, np.zeros((2, 3, 16)))


def test_shows_the_progress(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compute_features(pooled, TEXTS, tmp_path / "a.npy")
    shown = capsys.readouterr().err
    assert "Features: 100%" in shown
    assert "16.0/16.0" in shown
    compute_features(pooled, TEXTS, tmp_path / "b.npy", progress=False)
    assert capsys.readouterr().err == ""


def test_the_modules_own_graph(module: Path, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(module, "pooled_layers", engine="hub")
    path = tmp_path / "features.npy"
    features = compute_features(layer, TEXTS, path, **QUIET)
    np.testing.assert_allclose(features, layer(TEXTS), atol=1e-6)
    copy = Path(shutil.copytree(module, tmp_path / "module"))
    compute_features(
        ElmoEmbeddingLayer(copy, "pooled_layers", engine="hub"), TEXTS, path, **QUIET
    )
    record = tmp_path / "features.npy.json"
    assert record.exists()
    with (copy / "variables" / "variables.index").open("ab") as file:
        file.write(b"\0")
    layer.bilm.directory = copy
    with pytest.raises(ValueError, match="differ: weights"):
        compute_features(layer, TEXTS, path, **QUIET)
