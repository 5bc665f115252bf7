"""The example that trains all of ELMo, on a tiny copy of the reviews."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import imdb_batches
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from tests.examples.test_imdb_features import data  # noqa: F401
from tests.tiny_models import TINY, saved_model

TEXTS = np.array(["a bb", "bb a", "", "ccc a bb a"], dtype=object)
LABELS = np.array([0, 1, 0, 1])


@pytest.fixture
def example() -> ModuleType:
    return importlib.import_module("imdb_fine_tune")


def test_trains_all_of_elmo(
    example: ModuleType,
    data: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, out = saved_model(tmp_path / "model"), tmp_path / "tuned"
    argv = [str(data), "--source", str(source), "--output", str(out), "--epochs", "8"]
    argv += ["--batch-size", "8", "--words", "20", "--learning-rate", "0.01"]
    assert example.main(argv) == 0
    numbers = json.loads((out / "history.json").read_text(encoding="utf-8"))
    assert len(numbers["val_accuracy"]) == 8
    # Six words tell the classes apart.
    assert numbers["test_accuracy"] >= 0.9
    assert f"Test accuracy: {numbers['test_accuracy']:.4f} on 60 reviews" in (
        capsys.readouterr().out
    )
    before, after = (
        ElmoEmbeddingLayer(path, "layers", fine_tune="all") for path in (source, out)
    )
    for one, other in zip(before.weights, after.weights, strict=True):
        assert np.abs(one - other).max() > 0, one.path


@pytest.fixture(scope="module")
def elmo(tmp_path_factory: pytest.TempPathFactory) -> ElmoEmbeddingLayer:
    source = saved_model(tmp_path_factory.mktemp("elmo"))
    return ElmoEmbeddingLayer(source, "layers", "character_ids", fine_tune="all")


def test_batches(example: ModuleType, elmo: ElmoEmbeddingLayer) -> None:
    batches = imdb_batches.Batches(elmo, (TEXTS, LABELS), 3)
    assert len(batches) == 2
    (inputs, labels), (_, last_label) = batches  # the shortest ones first
    assert last_label.tolist() == [[1]]
    assert labels.tolist() == [[0], [0], [1]]
    places = inputs["places"]
    assert places.shape == (3, 34)
    assert places[:, 0].tolist() == [imdb_batches.BEGIN] * 3
    assert places[:, -1].tolist() == [imdb_batches.END] * 3
    a, bb = imdb_batches.FIRST_WORD, imdb_batches.FIRST_WORD + 1
    assert places[:, 1:4].tolist() == [[0, 0, 0], [a, bb, 0], [bb, a, 0]]
    words = inputs["words"]
    assert words.shape == (1024, 32)
    assert words[bb, :5].tolist() == [259, ord("b") + 1, ord("b") + 1, 260, 261]
    assert not words[imdb_batches.PADDING].any()
    assert not words[bb + 1 :].any()


def test_batches_are_repeatable_and_change(
    example: ModuleType, elmo: ElmoEmbeddingLayer
) -> None:
    def orders(seed: int) -> list[list[int]]:
        texts = np.array([f"w{i}" for i in range(12)], dtype=object)
        batches = imdb_batches.Batches(elmo, (texts, np.arange(12)), 1, seed=seed)
        return [[int(labels[0, 0]) for _, labels in batches] for _ in range(2)]

    first, second = orders(0)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(12))
    assert orders(0) == [first, second]
    assert orders(1)[0] != first


def test_word_dropout_spares_the_boundaries(
    example: ModuleType, elmo: ElmoEmbeddingLayer
) -> None:
    batches = imdb_batches.Batches(elmo, (TEXTS, LABELS), 4, word_dropout=1.0, seed=0)
    ((inputs, _),) = batches
    places = inputs["places"]
    assert not places[:, 1:-1].any()
    assert places[:, 0].all()
    assert places[:, -1].all()


def test_features_are_those_of_the_layer(
    example: ModuleType, elmo: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    model = example.FineTuned(elmo, dropout=0.3)
    ((inputs, _),) = imdb_batches.Batches(elmo, (TEXTS, LABELS), 4)
    pooled = model.pooled(inputs).numpy()
    texts = ["", "a bb", "bb a", "ccc a bb a"]  # sorted by length
    layers = ElmoEmbeddingLayer(saved_model(tmp_path), "layers")(texts).numpy()
    flat = layers.reshape(4, 4, -1)[:, :, TINY.projection_dim :]
    mask = np.array([[len(text.split()) > i for i in range(4)] for text in texts])
    for row in range(1, 4):
        tokens = flat[row, mask[row]]  # (time, features)
        expected = np.concatenate([tokens.mean(axis=0), tokens.max(axis=0)])
        np.testing.assert_allclose(pooled[row], expected, atol=1e-5)
    assert np.isfinite(pooled[0]).all()


def test_refuses(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        example.main([str(tmp_path / "no"), "--output", str(tmp_path / "out")])
    assert "argument DATA" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        example.main([str(tmp_path), "--source", "none", "--output", str(tmp_path / "out")])
    assert "argument --source" in capsys.readouterr().err
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        example.main([str(tmp_path), "--output", str(tmp_path / "file")])
    assert "argument --output: cannot make the directory" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        example.main([str(tmp_path), "--epochs", "0"])
    assert "argument --epochs" in capsys.readouterr().err
