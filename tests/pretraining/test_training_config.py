"""The settings of a training: checks, JSON and the optimizer they make."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo.pretraining import TrainingConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_steps": 0}, "n_steps must be"),
        ({"window_steps": True}, "window_steps must be"),
        ({"vocabulary_size": 3}, "vocabulary_size must be an integer from 4 on; got 3"),
        ({"n_samples": 0}, "n_samples must be"),
        ({"sentence_state": "kept"}, "sentence_state must be.*'carried'.*'kept'"),
        ({"precision": "float16"}, "precision must be.*'mixed_float16'.*'float16'"),
        ({"dropout": 1.0}, "dropout must be from 0 to less than 1; got 1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be more than 0; got 0.0"),
        ({"clip_norm": -1.0}, "clip_norm must be more than 0 or None; got -1.0"),
        ({"warmup_steps": 10_000}, "warmup_steps must be less than n_steps = 10000"),
        ({"decay_steps": 0}, "decay_steps must be a positive integer; got 0"),
        ({"decay_steps": 9801}, "decay_steps must be at most 9800, or None; got 9801"),
        ({"log_steps": 300}, "log_steps must be a divisor of n_steps = 10000; got 300"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"seed": 2**31}, r"seed must be from 0 to 2\*\*31 - 1"),
    ],
)
def test_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)


def test_round_trip() -> None:
    config = TrainingConfig(n_samples=None, clip_norm=None, seed=7, optimizer="adagrad")
    text = json.dumps(config.to_dict())
    assert TrainingConfig.from_dict(json.loads(text)) == config
    assert TrainingConfig.from_dict({}) == TrainingConfig()
    numpys = TrainingConfig(n_steps=np.int64(100), warmup_steps=np.uint8(3))
    assert json.loads(json.dumps(numpys.to_dict()))["n_steps"] == 100
    with pytest.raises(
        ValueError, match=r"Unknown training settings epochs, lr\. Choose from n_s"
    ):
        TrainingConfig.from_dict({"lr": 1, "epochs": 2, "seed": 0})


@pytest.mark.parametrize(
    ("warmup_steps", "decay_steps", "clip_norm", "steps", "expected"),
    [
        # Half way down the half cosine stands half the rate.
        (20, None, 1.0, (0, 10, 20, 60, 100), [0, 0.25, 0.5, 0.25, 0]),
        (0, None, None, (0, 50, 100), [0.5, 0.25, 0]),
        (20, 40, 1.0, (0, 10, 20, 60, 70, 100, 101), [0, 0.25, 0.5, 0.5, 0.375, 0, 0]),
        (0, 100, None, (0, 50, 100), [0.5, 0.25, 0]),
        (50, 50, None, (0, 25, 50, 75), [0, 0.25, 0.5, 0.25]),
    ],
)
def test_optimizer(
    warmup_steps: int,
    decay_steps: int | None,
    clip_norm: float | None,
    steps: Any,
    expected: list[float],
) -> None:
    settings = {"n_steps": 100, "learning_rate": 0.5, "optimizer": "adagrad"}
    settings |= {"warmup_steps": warmup_steps, "clip_norm": clip_norm}
    settings |= {"decay_steps": decay_steps}
    optimizer = TrainingConfig(**settings).make_optimizer()
    assert isinstance(optimizer, keras.optimizers.Adagrad)
    assert optimizer.global_clipnorm == clip_norm
    rate = optimizer.get_config()["learning_rate"]
    schedule = keras.optimizers.schedules.deserialize(rate)
    np.testing.assert_allclose([float(schedule(s)) for s in steps], expected, atol=1e-6)
