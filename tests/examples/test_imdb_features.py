"""The examples that classify frozen features, on a tiny copy of the reviews."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from keras_elmo.pretraining import TrainingConfig, train

WORDS = {"pos": ("warm", "clever", "lovely"), "neg": ("dull", "clumsy", "boring")}
N_REVIEWS = 30  # in each folder


@pytest.fixture
def features() -> ModuleType:
    return importlib.import_module("imdb_features")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("imdb") / "aclImdb"
    for part in ("train", "test"):
        for label, words in WORDS.items():
            folder = root / part / label
            folder.mkdir(parents=True)
            for i in range(N_REVIEWS):
                text = f"{words[i % 3]} {words[i % 2]} film {i}" + " and" * (i % 4)
                (folder / f"{i}_1.txt").write_text(text, encoding="utf-8")
    return root


def test_classifies(
    features: ModuleType,
    data: Path,
    source: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "numbers.json"
    argv = [str(data), "--source", source, "--json", str(out)]
    argv += ["--output", str(tmp_path / "features")]
    assert features.main([*argv, "--words", "20"]) == 0
    numbers = json.loads(out.read_text(encoding="utf-8"))
    # Six words tell the classes apart, and the random model tells words apart.
    assert numbers["test_accuracy"] >= 0.9
    assert numbers["validation_accuracy"] >= 0.8
    assert f"Test accuracy: {numbers['test_accuracy']:.4f} on 60 reviews" in (
        capsys.readouterr().out
    )
    # The features of other texts are not mixed with these.
    with pytest.raises(SystemExit, match="2"):
        features.main([*argv, "--words", "2"])
    assert "train.npy' is of something else: these differ: texts" in (
        capsys.readouterr().err
    )


def test_features_are_those_of_the_layer(
    features: ModuleType, source: str, tmp_path: Path
) -> None:
    layer = ElmoEmbeddingLayer(source, output_mode="pooled_layers")
    texts = np.array(["a b c", "d", "", "e f"], dtype=object)
    labels = np.arange(4, dtype=np.float32)
    found, found_labels = features.features(layer, (texts, labels), tmp_path / "a.npy")
    expected = np.asarray(layer(texts)).reshape(4, -1)
    # The token vectors stand twice in layer 0.
    np.testing.assert_allclose(found, expected[:, 8:], atol=1e-6)
    np.testing.assert_array_equal(found_labels, labels)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nowhere"], "argument DATA: There is no file or directory 'nowhere'"),
        (["nowhere", "--source", "none"], "argument --source: source 'none': there is no"),
    ],
)
def test_errors(
    argv: list[str], message: str, features: ModuleType, source: str, capsys: object
) -> None:
    if "--source" not in argv:
        argv = [*argv, "--source", source]
    with pytest.raises(SystemExit, match="2"):
        features.main(argv)
    assert message in capsys.readouterr().err  # type: ignore[attr-defined]


def test_start_states(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = importlib.import_module("start_state")
    monkeypatch.setattr(example, "BATCH_SIZE", 4)
    monkeypatch.setattr(example, "STEPS", 6)
    for name in ("train-0.txt", "heldout.txt"):
        lines = ["a warm film", "a dull film and a clumsy one"] * 10
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    config = ElmoConfig(char_dim=4, filters=((1, 8),), n_highway=1, dim=8, projection_dim=4)
    settings = TrainingConfig(
        n_steps=30,
        log_steps=30,
        warmup_steps=0,
        batch_size=2,
        n_samples=None,
        learning_rate=0.05,
    )
    text, model = [tmp_path / "train-0.txt"], tmp_path / "model"
    train(text, model, config, settings, verbose=False)
    argv = [str(model), str(tmp_path), "--data", str(data), "--limit", "20"]
    assert example.main(argv) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["zeros", "carried", "stored"]
    values = np.array([[float(row[2]), float(row[4])] for row in rows])
    assert len(np.unique(values[:, 0])) == 3
    assert np.all((values[:, 0] > 1) & (values[:, 0] < 20))
    assert np.all((values[:, 1] >= 0) & (values[:, 1] <= 1))
