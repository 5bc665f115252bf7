"""Saved models and modules that were made to do harm."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.hub.graph_safety import graph_problem
from keras_elmo.hub.module import load_module
from keras_elmo.vectors.options import Options
from keras_elmo.vectors.vectors import embedding_layer
from tests.tiny_models import LEAST

HUGE = {**LEAST.to_options(), "lstm": {"dim": 10**9, "projection_dim": 8}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    text = keras.Input((), dtype="string")
    keras.Model(text, ElmoEmbeddingLayer(LEAST, name="elmo")(text)).save(path)
    return path


def repacked(path: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            new.writestr(member, change(member.filename, old.read(member)))
    return target


def with_setting(name: str, value: Any) -> Callable[[str, bytes], bytes]:
    """Changes a setting of the layer in ``config.json``."""

    def change(member: str, content: bytes) -> bytes:
        if member != "config.json":
            return content
        config = json.loads(content)
        (layer,) = (
            layer for layer in config["config"]["layers"] if layer["name"] == "elmo"
        )
        layer["config"][name] = value
        return json.dumps(config).encode()

    return change


def test_our_models_load_in_safe_mode(saved: Path) -> None:
    model = keras.saving.load_model(saved, safe_mode=True)
    assert model(tf.constant(["a b"])).shape == (1, 16)
    layer = embedding_layer(saved, Options("mix", pooled=True))
    np.testing.assert_array_equal(layer(["a b"]), model(tf.constant(["a b"])))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("source", "https://example.org/evil.zip", "must be a JSON object, not str"),
        ("source", "mini", "must be a JSON object, not str"),
        ("source", 3, "must be a JSON object, not int"),
        ("source", None, "must be a JSON object, not NoneType"),
        ("source", {"lstm": {}, "char_cnn": {}}, "no object 'char_cnn.embedding'"),
        ("source", HUGE, "dim must be an integer from 1 to 65536"),
        ("output_mode", "evil", "output_mode"),
        ("output_mode", ["default"], "output_mode"),
        ("input_mode", 1, "input_mode"),
        ("fine_tune", None, "fine_tune"),
        ("stateful", "yes", "stateful"),
        ("max_tokens", -1, "max_tokens"),
        ("max_tokens", "3", "max_tokens"),
        ("pad_token", 3, "pad_token"),
        ("engine", "python", "engine"),
        ("evil", 1, "evil"),
    ],
)
def test_settings_that_are_none(
    saved: Path, tmp_path: Path, name: str, value: Any, message: str
) -> None:
    path = repacked(saved, tmp_path / "evil.keras", with_setting(name, value))
    with pytest.raises((TypeError, ValueError), match=message):
        keras.saving.load_model(path)
    with pytest.raises(ValueError, match=r"cannot load the model '.*evil.keras'"):
        embedding_layer(path, Options("mix", pooled=True))


def test_code_in_a_model_is_refused(tmp_path: Path) -> None:
    text = keras.Input((), dtype="string")
    vectors = ElmoEmbeddingLayer(LEAST)(text)
    shape = (LEAST.output_dim,)
    model = keras.Model(text, keras.layers.Lambda(lambda x: x, shape)(vectors))
    model.save(tmp_path / "evil.keras")
    with pytest.raises(ValueError, match=r"cannot load the model '.*evil.keras' \(.*ambda"):
        embedding_layer(tmp_path / "evil.keras", Options("mix", pooled=True))


# --------------------------------------------------------------------------- modules


def with_node(op: str) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        graph.graph_def.node.add(name="evil", op=op)

    return change


def with_function(graph: Any) -> None:
    graph.graph_def.library.function.add().node_def.add(name="evil", op="SaveV2")


def with_saving_signature(graph: Any) -> None:
    (node, *_) = (node for node in graph.graph_def.node if node.op == "SaveV2")
    identity = graph.graph_def.node.add(name="evil", op="Const", input=[f"^{node.name}"])
    graph.signature_def["tokens"].outputs["elmo"].name = f"{identity.name}:0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_node("WriteFile"), "has the operation 'WriteFile' \\('evil'\\)"),
        (with_node("ReadFile"), "has the operation 'ReadFile'"),
        (with_node("EagerPyFunc"), "has the operation 'EagerPyFunc'"),
        (with_node("TextLineDataset"), "has the operation 'TextLineDataset'"),
        (with_node("CreateSummaryFileWriter"), "has the operation 'CreateSummaryFileWr"),
        (with_function, "writes files as it runs \\('evil'\\)"),
        (with_saving_signature, "writes files as it runs"),
    ],
    ids=range(7),
)
def test_graphs_that_do_more_than_compute(
    module: Path, tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    assert graph_problem(module) is None
    path = Path(shutil.copytree(module, tmp_path / "evil"))
    graph = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(graph.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(SourceError, match=f"Refusing to load .*evil': it {message}"):
        load_module(path)


def test_graphs_in_saved_models(module: Path, tmp_path: Path) -> None:
    """What Keras refuses of its own layer for such graphs, TFSMLayer, in safe mode."""
    model = keras.Sequential(
        [keras.Input((), dtype="string"), ElmoEmbeddingLayer(module, engine="hub")]
    )
    model.save(tmp_path / "model.keras")

    def change(member: str, content: bytes) -> bytes:
        if not member.endswith("saved_model.pb"):
            return content
        graph = saved_model_pb2.SavedModel.FromString(content)
        with_node("WriteFile")(graph.meta_graphs[0])
        return graph.SerializeToString()

    path = repacked(tmp_path / "model.keras", tmp_path / "evil.keras", change)
    same = repacked(tmp_path / "model.keras", tmp_path / "same.keras", lambda _, c: c)
    assert keras.saving.load_model(same)(tf.constant(["a"])).shape == (1, 16)
    # Keras tells no more of why.
    with pytest.raises(ValueError, match="error message for object <HubModule"):
        keras.saving.load_model(path)
