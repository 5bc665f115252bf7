"""``keras-elmo train`` and ``evaluate``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from keras_elmo.cli.main import main
from keras_elmo.hub.sources import load_source
from keras_elmo.pretraining import TrainingConfig, evaluate
from tests.tiny_models import TINY

SETTINGS = {
    "n_steps": 2,
    "log_steps": 1,
    "warmup_steps": 0,
    "batch_size": 2,
    "window_steps": 4,
    "n_samples": None,
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("a cat sat\na dog ran away\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "config.json"
    content = {"model": TINY.to_options(), "training": SETTINGS}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(text: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "model"
    command = ["train", str(text), "--config", str(config), "--out", str(out), "--quiet"]
    assert main(command) == 0
    return out


def test_train(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load_source(trained).config == TINY
    settings = json.loads((trained / "training.json").read_text(encoding="utf-8"))
    assert TrainingConfig(**settings["training"]) == TrainingConfig(**SETTINGS)
    assert capsys.readouterr().out == ""


def test_train_says_where(
    trained: Path, text: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # There is nothing left to do in it.
    command = ["train", str(text), "--config", str(config), "--out", str(trained)]
    assert main([*command, "--resume"]) == 0
    assert capsys.readouterr().out == f"The model is in {str(trained)!r}.\n"
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-elmo: error: --out: ")
    assert "is not empty. Name a new directory, or ask to resume" in error


def test_evaluate(trained: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = evaluate(trained, [text], "carried", 1)
    command = ["evaluate", str(trained), str(text), "--batch-size", "1"]
    assert main([*command, "--sentence-state", "carried", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["perplexity"] == pytest.approx(expected._asdict(), rel=1e-5)
    assert main([*command, "--sentence-state", "carried"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [[n, f"{v:.2f}"] for n, v in expected._asdict().items()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "--config: '.*wrong.json' is not a configuration: Expecting property name"),
        ("[]", "expected an object with 'model' and 'training' in it"),
        ('{"training": {}, "shape": {}}', "expected an object with 'model' and 'training'"),
        ('{"training": {"epochs": 3}}', "There are no training settings epochs; there are"),
        ('{"training": {"dropout": 2}}', "dropout must be from 0 to less than 1; got 2"),
        ('{"training": {"dropout": "a"}}', "is not a configuration"),
        ('{"model": {}}', "The options have no object 'lstm'"),
        ("{}", "has no 'model', and --init is missing. Choose either a new model or one"),
    ],
)
def test_wrong_configuration(
    content: str,
    message: str,
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, out = tmp_path / "wrong.json", tmp_path / "out"
    config.write_text(content, encoding="utf-8")
    assert main(["train", str(text), "--config", str(config), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-elmo: error: ")
    assert re.search(message, error)
    assert not out.exists()


def test_model_and_init(
    text: Path, config: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(text), "--config", str(config), "--out", "out"]
    assert main([*command, "--init", str(trained)]) == 1
    assert "has a 'model', and --init is there too" in capsys.readouterr().err
