"""Small records and cached files that were made to do harm, or changed since."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.cli.train import _read as read_config
from keras_elmo.pretraining.checkpoint import CHECKPOINT_NAME, LOG_NAME, Log, restore
from keras_elmo.pretraining.training import SETTINGS_NAME, _earlier_settings
from keras_elmo.vectors.store import read_record
from keras_elmo.weights.download import download_named_model
from keras_elmo.weights.named_models import MODELS
from tests.tiny_models import LEAST, saved_model

DEEP = "[" * 100_000


@pytest.mark.parametrize("content", [DEEP, "[]", "3", '{"a": 1, "a": 1}', "\x00", "{"])
def test_json_that_is_another(tmp_path: Path, content: str) -> None:
    (tmp_path / "out.npy.json").write_text(content)
    with pytest.raises(ValueError, match=r"cannot read '.*out.npy.json'"):
        read_record(tmp_path / "out.npy.json")
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(ValueError, match=r"'.*train.json' is not a configuration"):
        read_config(tmp_path / "train.json")
    (tmp_path / SETTINGS_NAME).write_text(content)
    with pytest.raises(ValueError, match="resume: cannot read the settings"):
        _earlier_settings(tmp_path, resume=True)


@pytest.fixture
def model() -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def good_checkpoint(model: keras.Model) -> dict[str, Any]:
    variables = [*model.variables, *model.optimizer.variables]
    values = [7, *(np.asarray(v.value) for v in variables)]
    return {f"arr_{i}": np.asarray(value) for i, value in enumerate(values)}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("arr_0", np.array(-1), "was taken after -1 steps"),
        ("arr_0", np.array(1.5), "expected arr_0 to be numbers"),
        ("arr_1", np.zeros(3), r"expected arr_1 to be numbers of shape \(2, 3\)"),
        ("arr_1", np.array([print] * 6, object).reshape(2, 3), "'arr_1' holds object"),
        ("arr_1", np.zeros((2, 3), "S4"), "'arr_1' holds"),
        ("arr_99", np.zeros(3), "is of another model"),
        ("../evil", np.zeros(3), "is of another model"),
    ],
    ids=range(7),
)
def test_checkpoints_that_are_others(
    model: keras.Model, tmp_path: Path, name: str, value: Any, message: str
) -> None:
    before = [np.asarray(v) for v in model.get_weights()]
    arrays = good_checkpoint(model)
    np.savez(tmp_path / CHECKPOINT_NAME, **arrays)
    assert restore(model, tmp_path) == 7
    np.savez(tmp_path / CHECKPOINT_NAME, **{**arrays, name: value})
    with pytest.raises(ValueError, match=rf"(?s)checkpoint.npz'.*{message}"):
        restore(model, tmp_path)
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=r"Cannot read the checkpoint '.*checkpoint.npz'"):
        restore(model, tmp_path)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize("row", ["x,1", ",1", "\0,1"])
def test_logs_that_are_others(tmp_path: Path, row: str) -> None:
    (tmp_path / LOG_NAME).write_text(f"step,loss\n1,2\n{row}\n")
    with pytest.raises(ValueError, match=r"log.csv' is no log of a training, or damaged"):
        Log(tmp_path, 1, 1)


# -------------------------------------------------------------------------- the cache


def test_a_cached_file_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its size still, and an HDF5 file: only its SHA-256 tells."""
    source = saved_model(tmp_path / "source", LEAST)
    content = (source / "weights.hdf5").read_bytes()
    named = dataclasses.replace(
        MODELS["small"],
        weights_url="http://127.0.0.1:9/weights.hdf5",
        options_url="http://127.0.0.1:9/options.json",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )

    def serve(url: str, file: str, _: object) -> None:
        shutil.copy(source / Path(url).name, file)

    monkeypatch.setattr("pooch.HTTPDownloader", lambda **_: serve)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))
    path = download_named_model(named)
    changed = bytearray(content)
    changed[-3] ^= 1
    path.write_bytes(changed)
    assert download_named_model(named).read_bytes() == content
    path.write_bytes(changed)
    (source / "weights.hdf5").unlink()
    with pytest.raises(SourceError, match=r"Cannot download '.*weights.hdf5'"):
        download_named_model(named)


def test_a_model_of_the_package_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_elmo.weights.named_models._PACKAGE_DATA", tmp_path)
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini/weights.hdf5").write_bytes(bytes(7_962_240))
    with pytest.raises(SourceError, match=r"'mini': '.*' is not the file that comes with"):
        download_named_model(MODELS["mini"])


def test_options_with_a_name_twice(tmp_path: Path) -> None:
    text = json.dumps(LEAST.to_options())
    path = tmp_path / "options.json"
    path.write_text(text.replace('"dim": 12', '"dim": 13, "dim": 12'))
    with pytest.raises(ValueError, match="has 'dim' twice"):
        type(LEAST).from_json(path)
