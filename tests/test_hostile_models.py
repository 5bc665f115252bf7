"""Saved models that were made to do harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors.vectors import embedding_layer
from tests.any_backend import model_of
from tests.keras_files import repacked
from tests.tiny_models import LEAST

HUGE = {**LEAST.to_options(), "lstm": {"dim": 10**9, "projection_dim": 8}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model_of(ElmoEmbeddingLayer(LEAST, name="elmo")).save(path)
    return path


def with_setting(name: str, value: Any) -> Callable[[str, bytes], bytes]:
    """Changes a setting of the layer in ``config.json``."""

    def change(member: str, content: bytes) -> bytes:
        if member != "config.json":
            return content
        config = json.loads(content)
        layers = {layer["name"]: layer for layer in config["config"]["layers"]}
        layers["elmo"]["config"][name] = value
        return json.dumps(config).encode()

    return change


def test_our_models_load_in_safe_mode(saved: Path) -> None:
    model = keras.saving.load_model(saved, safe_mode=True)
    assert model(tf.constant(["a b"])).shape == (1, 16)
    layer = embedding_layer(saved, "default")
    np.testing.assert_array_equal(layer(["a b"]), model(tf.constant(["a b"])))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("source", "https://example.org/evil.zip", "must be a JSON object, not str"),
        ("source", 3, "must be a JSON object, not int"),
        ("source", None, "must be a JSON object, not NoneType"),
        ("source", {"lstm": {}, "char_cnn": {}}, "no object 'char_cnn.embedding'"),
        ("source", HUGE, "dim must be an integer from 1 to 16384"),
        ("output_mode", "evil", "output_mode must be"),
        ("output_mode", ["default"], "output_mode must be"),
        ("input_mode", 1, "input_mode must be"),
        ("fine_tune", None, "fine_tune must be"),
        ("stateful", "yes", "stateful must be"),
        ("max_tokens", -1, "max_tokens must be"),
        ("max_tokens", "3", "max_tokens must be"),
        ("pad_token", 3, "pad_token must be"),
        ("engine", "python", "engine must be"),
        ("evil", 1, r"Unrecognized keyword arguments .*{'evil': 1}"),
    ],
)
def test_settings_that_are_none(
    saved: Path, tmp_path: Path, name: str, value: Any, message: str
) -> None:
    path = repacked(saved, tmp_path / "evil.keras", with_setting(name, value))
    with pytest.raises((TypeError, ValueError), match=message):
        keras.saving.load_model(path)
    with pytest.raises(ValueError, match=r"cannot load the model '.*evil.keras'"):
        embedding_layer(path, "default")


@pytest.mark.parametrize(
    ("module", "name", "config"),
    [
        ("os", "system", {}),
        ("subprocess", "Popen", {"args": "touch {}"}),
        ("keras.layers", "TFSMLayer", {"filepath": "{}"}),
        ("keras.layers", "TorchModuleWrapper", {"module": "AAAA"}),
        ("keras.layers", "StringLookup", {"vocabulary": "{}"}),
        ("keras.utils", "get_file", {"fname": "{}", "origin": "http://127.0.0.1:9/x"}),
        ("keras_elmo.weights.cache", "forget", {}),
        ("keras_elmo.hub.module", "HubModule", {"output_dim": 16}),
        ("keras.layers", "Dense", {"units": 10**10}),  # no memory for that
    ],
)
def test_classes_of_others(
    saved: Path, tmp_path: Path, module: str, name: str, config: dict[str, Any]
) -> None:
    """In the place of a layer; what it would read or write is not touched."""
    other = {
        key: v.format(tmp_path / "f") if isinstance(v, str) else v
        for key, v in config.items()
    }

    def change(member: str, content: bytes) -> bytes:
        if member != "config.json":
            return content
        tree = json.loads(content)
        layer = {"module": module, "class_name": name, "config": {"name": "x", **other}}
        inbound = tree["config"]["layers"][1]["inbound_nodes"]
        tree["config"]["layers"].append({**layer, "name": "x", "inbound_nodes": inbound})
        return json.dumps(tree).encode()

    path = repacked(saved, tmp_path / "evil.keras", change)
    with pytest.raises(ValueError, match=r"cannot load the model '.*evil.keras'"):
        embedding_layer(path, "default")
    assert [file.name for file in tmp_path.iterdir()] == ["evil.keras"]


def test_code_in_a_model_is_refused(tmp_path: Path) -> None:
    code = keras.layers.Lambda(lambda x: x, (LEAST.output_dim,))
    model_of(ElmoEmbeddingLayer(LEAST), code).save(tmp_path / "evil.keras")
    with pytest.raises(ValueError, match=r"cannot load the model '.*evil.keras' \(.*ambda"):
        embedding_layer(tmp_path / "evil.keras", "default")
