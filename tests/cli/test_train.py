"""``keras-elmo train`` and ``evaluate``."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from keras_elmo.hub.sources import load_source
from keras_elmo.pretraining import BidirectionalLanguageModel, TrainingConfig, evaluate
from tests.cli.conftest import Run, names
from tests.tiny_models import TINY

SETTINGS = {"n_steps": 2, "log_steps": 1, "warmup_steps": 0, "batch_size": 2}
SETTINGS |= {"window_steps": 4, "n_samples": None}


@pytest.fixture
def text(folder: Path) -> str:
    Path("text.txt").write_text("a cat sat\na dog ran away\n", encoding="utf-8")
    return "text.txt"


def test_train_and_evaluate(text: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Graphs would take longer than the steps.
    eager = functools.partialmethod(BidirectionalLanguageModel.compile, run_eagerly=True)
    monkeypatch.setattr(BidirectionalLanguageModel, "compile", eager)
    content = {"model": TINY.to_options(), "training": SETTINGS}
    Path("config.json").write_text(json.dumps(content), encoding="utf-8")
    command = ["train", text, "--config", "config.json", "--out"]
    assert run(*command, "model", "--quiet") == (0, "", "")
    assert load_source("model").config == TINY
    settings = json.loads(Path("model", "training.json").read_text(encoding="utf-8"))
    assert TrainingConfig(**settings["training"]) == TrainingConfig(**SETTINGS)
    # There is nothing left to do in it.
    assert run(*command, "model", "--resume") == (0, "The model is in 'model'.\n", "")
    error = run(*command, "model")[2]
    assert error.startswith("keras-elmo: error: --out: 'model' is not empty. Choose a")
    error = run(*command, "out", "--init", "model")[2]
    assert "has a 'model', and --init is there too" in error
    assert names(Path()) == ["config.json", "model", "text.txt"]

    expected = evaluate("model", [text], "carried", 1)._asdict()
    command = f"evaluate model {text} --batch-size 1 --sentence-state carried".split()
    found = json.loads(run(*command, "--json")[1])
    assert found["perplexity"] == pytest.approx(expected, rel=1e-5)
    lines = [line.split() for line in run(*command)[1].splitlines()]
    assert lines == [[name, f"{value:.2f}"] for name, value in expected.items()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a configuration: Expecting property name"),
        ("[]", "expected an object with 'model' and 'training' in it"),
        ('{"training": {}, "shape": {}}', "expected an object with 'model' and 'training'"),
        ('{"training": {"epochs": 3}}', "Unknown training settings epochs. Choose from"),
        ('{"training": {"dropout": 2}}', "dropout must be from 0 to less than 1; got 2"),
        ('{"training": {"dropout": "a"}}', "is not a configuration"),
        ('{"model": {}}', "The options have no object 'lstm'"),
        ("{}", "has no 'model', and --init is missing. Choose either a new model or one"),
    ],
)
def test_wrong_configuration(content: str, message: str, text: str, run: Run) -> None:
    Path("wrong.json").write_text(content, encoding="utf-8")
    code, _, error = run("train", text, "--config", "wrong.json", "--out", "out")
    assert code == 1
    assert error.startswith("keras-elmo: error: --config: 'wrong.json' ")
    assert message in error
    assert names(Path()) == ["text.txt", "wrong.json"]
