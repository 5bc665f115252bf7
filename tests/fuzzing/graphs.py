"""Target: the graph of a TF1 Hub module, whose nodes become any operation of TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from benchmarks.hub_module import write_module
from tensorflow.core.framework import attr_value_pb2, op_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.eager import context

from keras_elmo import SourceError
from keras_elmo.hub.graph_safety import ALLOWED
from keras_elmo.hub.verification import _module_outputs
from tests.fuzzing.mutations import Rng
from tests.fuzzing.target import Files, Target, require
from tests.tiny_models import TINY, random_arrays

_TOKENS = [["the", "cat"], ["a"]]
_VALUES: dict[str, Any] = {"int": {"i": 1}, "string": {"s": b""}, "shape": {"shape": {}}}
_MASK = np.array([[True, True], [True, False]])


def registered_operations() -> dict[str, Any]:
    """All operations of TensorFlow, by name."""
    buffer = pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList())
    operations = op_def_pb2.OpList.FromString(buffer).op
    return {op.name: op for op in sorted(operations, key=lambda op: op.name)}


class Graph(Target):
    """``saved_model.pb``: what passes the list is run, and nothing else is."""

    name = "graph"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        write_module(folder / "module", TINY, random_arrays(TINY))
        self.operations = registered_operations()
        # As it stands in the file, for what is run to be compared with.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

    def spoil(self, files: Files, rng: Rng) -> Files:
        name = "module/saved_model.pb"
        saved = saved_model_pb2.SavedModel.FromString(files[name])
        graph = saved.meta_graphs[0].graph_def
        function = graph.library.function.add() if rng.random() < 0.05 else None
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            old = node = rng.choice(graph.node)
            kind = rng.random()
            if function or kind < 0.1:  # it stays, and another is run before or after it
                node = (function.node_def if function else graph.node).add()
                node.CopyFrom(old)
                node.name = f"new_{node.name}"
                old.input.append(f"^{node.name}")
            self._replace(node, rng.choice(self._others(node, kind)))
        return {**files, name: saved.SerializeToString()}

    def _others(self, node: Any, kind: float) -> list[Any]:
        """Any operation, or those that take as many inputs, or listed ones that fit."""
        if kind < 0.4:
            return list(self.operations.values())
        n_inputs = sum(not each.startswith("^") for each in node.input)
        like = [x for x in self.operations.values() if len(x.input_arg) == n_inputs]
        fitting = [
            operation
            for operation in like
            if operation.name in ALLOWED
            and node.attr.keys() >= {a.name for a in operation.attr if a.type == "type"}
            and len(operation.output_arg) == len(self.operations[node.op].output_arg)
        ]
        return (fitting if kind > 0.7 else like) or list(self.operations.values())

    def _replace(self, node: Any, operation: Any) -> None:
        """Gives a node another operation, and values of the attributes that it wants."""
        dtypes = sorted(attr.type for attr in node.attr.values() if attr.type) or [1]
        node.op = operation.name
        if "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
        for attr in operation.attr:
            if attr.type == "type":
                allowed = attr.allowed_values.list.type or dtypes
                dtype = next((x for x in dtypes if x in allowed), allowed[0])
                node.attr[attr.name].type = dtype
            elif attr.name not in node.attr:
                value = attr_value_pb2.AttrValue(**_VALUES.get(attr.type, {}))
                has_default = attr.HasField("default_value")
                node.attr[attr.name].CopyFrom(attr.default_value if has_default else value)

    def read(self, folder: Path) -> Any:
        context.context().enable_run_metadata()
        try:
            found = _module_outputs(folder / "module", _TOKENS, _MASK)
            return dict(sorted(found.items()))
        finally:
            ran = context.context().export_run_metadata()
            context.context().disable_run_metadata()
            graphs = [g for f in ran.function_graphs for g in f.partition_graphs]
            self.ran = {node.op for graph in graphs for node in graph.node}
            # Those that begin so are TensorFlow's own, between its devices.
            others = {op for op in self.ran if not op.startswith("_")} - ALLOWED
            require(not others, f"{sorted(others)} were run")

    def check(self, expected: Any, found: Any) -> None:
        require(len(self.ran) > 20, f"only {sorted(self.ran)} were run")


TARGETS = (Graph,)
