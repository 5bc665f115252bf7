"""What a training left behind, changed or damaged: refused, and nothing of it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo.cli.train import read_config
from keras_elmo.pretraining.checkpoint import CHECKPOINT_NAME, LOG_NAME, Log, restore
from keras_elmo.pretraining.training import SETTINGS_NAME, train
from tests.tiny_models import LEAST

DEEP = "[" * 100_000


@pytest.mark.parametrize("content", [DEEP, "[]", "3", '{"a": 1, "a": 1}', "\x00", "{"])
def test_json_that_is_another(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(ValueError, match=r"train.json' is not a configuration"):
        read_config(tmp_path / "train.json")
    (tmp_path / SETTINGS_NAME).write_text(content)
    with pytest.raises(ValueError, match="cannot read the settings"):
        train([tmp_path / "train.json"], tmp_path, LEAST, resume=True)


@pytest.fixture
def model() -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", np.array(1.5), "steps must be an integer from 0 on; got .*1.5"),
        ("steps", np.zeros(2, int), r"expected steps to be .* of shape \(\)"),
        ("variable_0", np.zeros(3), r"expected variable_0 to be .* of shape \(2, 3\)"),
        ("variable_0", np.full((2, 3), len, object), "'variable_0' holds"),
        ("variable_0", np.zeros((2, 3), "S4"), "'variable_0' holds"),
        ("../evil", np.zeros(3), "it holds 6 arrays; expected 5 other ones"),
    ],
    ids=range(6),
)
def test_checkpoints_that_are_others(
    model: keras.Model, tmp_path: Path, name: str, value: Any, message: str
) -> None:
    before = [np.asarray(v) for v in model.get_weights()]
    variables = [*model.variables, *model.optimizer.variables]
    arrays = {f"variable_{i}": np.asarray(v.value) for i, v in enumerate(variables)}
    np.savez(tmp_path / CHECKPOINT_NAME, **arrays, steps=7)
    assert restore(model, tmp_path) == 7
    np.savez(tmp_path / CHECKPOINT_NAME, **{**arrays, "steps": 7, name: value})
    with pytest.raises(ValueError, match=rf"(?s)checkpoint.npz' is damaged.*{message}"):
        restore(model, tmp_path)
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=r"checkpoint '.*checkpoint.npz' is damaged"):
        restore(model, tmp_path)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize("row", ["x,1", ",1", "\0,1"])
def test_logs_that_are_others(tmp_path: Path, row: str) -> None:
    (tmp_path / LOG_NAME).write_text(f"step,loss\n1,2\n{row}\n")
    with pytest.raises(ValueError, match=r"log.csv' is not a training log"):
        Log(tmp_path, 1, 1)
