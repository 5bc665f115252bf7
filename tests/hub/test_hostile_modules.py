"""Modules that were made to do harm: what TensorFlow would run is never shown to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2, variable_pb2
from tensorflow.core.protobuf import saved_model_pb2

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.hub.graph_safety import ALLOWED, graph_problem
from keras_elmo.hub.module import load_module
from tests.fuzzing.checkpoints import varint
from tests.fuzzing.graphs import registered_operations
from tests.keras_files import repacked
from tests.memory import growth

Change = Callable[[Any], Any]
"""Changes a meta graph."""


def rewritten(path: Path, change: Change) -> Path:
    content = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(changed(content, change))
    return path


def changed(content: bytes, change: Change) -> bytes:
    saved = saved_model_pb2.SavedModel.FromString(content)
    change(saved.meta_graphs[0])
    return saved.SerializeToString()


@pytest.fixture
def evil(module: Path, tmp_path: Path) -> Path:
    """A copy of a good module, for tests to change."""
    return Path(shutil.copytree(module, tmp_path / "evil"))


def node(graph: Any, op: str, *inputs: str, name: str = "evil") -> Any:
    return graph.graph_def.node.add(name=name, op=op, input=inputs)


def with_node(op: str) -> Change:
    return lambda graph: node(graph, op)


def named_by(collection: str, op: str = "Const") -> Change:
    """A collection that names a node."""

    def change(graph: Any) -> None:
        node(graph, op, *["^save/SaveV2"][: op != "Const"])
        graph.collection_def[collection].node_list.value.append("evil")

    return change


def variable_of(collection: str, *inputs: str) -> Change:
    def change(graph: Any) -> None:
        variable = variable_pb2.VariableDef(variable_name="evil", initializer_name="evil")
        node(graph, "VariableV2", *inputs)
        values = graph.collection_def[collection].bytes_list.value
        values.append(variable.SerializeToString())

    return change


def init_signature(graph: Any) -> None:
    node(graph, "NoOp", "^save/SaveV2")
    outputs = graph.signature_def["__saved_model_init_op"].outputs
    outputs["__saved_model_init_op"].name = "evil"


def restore_after(name: str) -> Change:
    def change(graph: Any) -> None:
        graph.saver_def.restore_op_name = "evil"
        node(graph, "NoOp", "^save/restore_all", name)
        node(graph, "LoopCond", name="loop")

    return change


def restore_of_other_files(graph: Any) -> None:
    node(graph, "Const")
    (restore,) = (n for n in graph.graph_def.node if n.op == "RestoreV2")
    restore.input[0] = "evil"


def output(name: str, op: str = "Identity") -> Change:
    """A signature that runs a node."""

    def change(graph: Any) -> None:
        node(graph, op, name)
        graph.signature_def["tokens"].outputs["elmo"].name = "evil:0"

    return change


def sparse_output(graph: Any) -> None:
    sparse = graph.signature_def["tokens"].outputs["elmo"].coo_sparse
    sparse.values_tensor_name = "save/SaveV2:0"


def variant(graph: Any) -> None:
    node(graph, "Const").attr["dtype"].type = types_pb2.DT_VARIANT


HARM: dict[str, tuple[Change, str]] = {
    "operation": (with_node("WriteFile"), r"has the operation 'WriteFile' \('evil'\)"),
    "reads": (with_node("ImmutableConst"), "has the operation 'ImmutableConst'"),
    "waits": (with_node("QueueDequeueV2"), "has the operation 'QueueDequeueV2'"),
    "unknown": (with_node("evil function"), "has the operation 'evil function'"),
    "function": (lambda graph: graph.graph_def.library.function.add(), "has functions"),
    "own restore": (with_node("RestoreV2"), "reads or writes files when it is run"),
    "other files": (restore_of_other_files, "reads foreign files"),
    "tables": (named_by("table_initializer"), "has the collection 'table_initializer'"),
    "assets": (named_by("saved_model_assets"), "has the collection 'saved_model_assets'"),
    "local": (variable_of("local_variables"), "has the collection 'local_variables'"),
    "main op": (named_by("saved_model_main_op"), r"computes when it is loaded \('evil'\)"),
    "init op": (named_by("legacy_init_op", "NoOp"), "computes when it is loaded"),
    "init signature": (init_signature, "computes when it is loaded"),
    "restore saves": (restore_after("^save/SaveV2"), "computes when it is loaded"),
    "restore loops": (restore_after("^loop"), r"computes when it is loaded \('loop'\)"),
    "variable": (variable_of("variables", "^save/SaveV2"), "lists a variable that does"),
    "output saves": (output("^save/SaveV2"), "reads or writes files when it is run"),
    "output restores": (output("save/RestoreV2:0"), "reads or writes files when it is run"),
    "sparse": (sparse_output, "has an input or output that is not a tensor"),
    "variant": (variant, r"has a constant that is neither numbers nor text \('evil'\)"),
    "asset": (lambda graph: graph.asset_file_def.add(filename="../secret"), "has assets"),
    "TensorFlow 2": (lambda graph: graph.object_graph_def.nodes.add(), "has assets or Ten"),
    "names": (
        lambda graph: node(graph, "Const", name="save/SaveV2"),
        "has several operations",
    ),
}


@pytest.mark.parametrize(("change", "message"), HARM.values(), ids=HARM)
def test_graphs_that_do_more_than_compute(evil: Path, change: Change, message: str) -> None:
    with pytest.raises(SourceError, match=f"Refusing to load .*evil': it {message}"):
        load_module(rewritten(evil, change))


def test_graphs_that_compute(evil: Path) -> None:
    """Of every style: test_verification.py."""
    assert graph_problem(evil) is None
    # As exporters of TensorFlow 1 write it: nothing to initialize.
    rewritten(evil, named_by("legacy_init_op", "Const"))
    assert graph_problem(evil) == "computes when it is loaded ('evil')"

    def change(graph: Any) -> None:
        graph.graph_def.node[-1].op = "NoOp"
        tensor = node(graph, "Const", name="large").attr["value"].tensor
        tensor.tensor_content = bytes(1 << 24)  # constants may be large

    assert graph_problem(rewritten(evil, change)) is None


def test_only_listed_operations_pass(tmp_path: Path) -> None:
    """Of all that TensorFlow has, alone in a graph: most could not be run."""
    registered = registered_operations().keys()
    assert registered >= ALLOWED
    assert len(registered) > 1_500
    passed = set()
    for op in registered:
        saved = saved_model_pb2.SavedModel()
        with_node(op)(saved.meta_graphs.add())
        (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
        if graph_problem(tmp_path) is None:
            passed.add(op)
    saver = {"MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"}
    assert passed == ALLOWED - saver  # which need a saver around them


def test_nothing_is_read_or_written(evil: Path, tmp_path: Path) -> None:
    """A collection that TensorFlow runs, which names the saving of all variables."""
    victim = tmp_path / "victim"
    victim.write_text("mine")

    def change(graph: Any) -> None:
        named_by("table_initializer")(graph)
        for each in graph.graph_def.node:
            if each.name == "save/filename/input":
                each.attr["value"].tensor.string_val[:] = [str(victim).encode()]
        graph.collection_def["table_initializer"].node_list.value[:] = ["save/SaveV2"]

    before = sorted(tmp_path.rglob("*"))
    for load in (load_module, lambda path: ElmoEmbeddingLayer(path, engine="hub")):
        with pytest.raises(SourceError, match="has the collection 'table_initializer'"):
            load(rewritten(evil, change))
    assert sorted(tmp_path.rglob("*")) == before
    assert victim.read_text() == "mine"


def test_keras_files(module: Path, tmp_path: Path) -> None:
    """What Keras refuses of its own layer for such graphs, TFSMLayer, in safe mode."""
    model = keras.Sequential(
        [keras.Input((), dtype="string"), ElmoEmbeddingLayer(module, engine="hub")]
    )
    model.save(tmp_path / "model.keras")

    def change(member: str, content: bytes) -> bytes:
        if not member.endswith("saved_model.pb"):
            return content
        return changed(content, with_node("WriteFile"))

    path = repacked(tmp_path / "model.keras", tmp_path / "evil.keras", change)
    same = repacked(tmp_path / "model.keras", tmp_path / "same.keras", lambda _, c: c)
    assert keras.saving.load_model(same)(tf.constant(["a"])).shape == (1, 16)
    # Keras does not pass on why.
    with pytest.raises(ValueError, match="error message for object <HubModule"):
        keras.saving.load_model(path)


def field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + varint(len(content)) + content


def graph_of(nodes: bytes) -> bytes:
    return field(0x12, field(0x12, nodes))


BOMBS = {
    "nodes": graph_of(b"\x0a\x00" * 5_000_000),
    "functions": graph_of(field(0x12, field(0x0A, b"\x1a\x00" * 5_000_000))),
    "inputs": graph_of(field(0x0A, b"\x1a\x00" * 5_000_000)),
    "tags": field(0x12, field(0x0A, b"\x22\x00" * 5_000_000)),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_many_small_parts(tmp_path: Path, content: bytes) -> None:
    """As objects of Python they would take gigabytes."""
    (tmp_path / "saved_model.pb").write_bytes(content)
    problem, n_bytes = growth(lambda: graph_problem(tmp_path))
    assert "50,000 operations or, without constants, over 8 MiB" in str(problem)
    assert n_bytes < 32 << 20


@pytest.mark.parametrize("content", [b"\xff", b"\x12\x7f", b"\x13", b"\x12" + b"\xff" * 11])
def test_damaged_graphs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(SourceError, match="Cannot load the TF1 Hub module"):
        load_module(tmp_path)
