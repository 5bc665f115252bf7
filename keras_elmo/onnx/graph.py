"""ONNX graphs, written as calls: a node for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET, IR_VERSION = 17, 8  # those of ONNX Runtime 1.12 and later

FLOAT, INT32, INT64, BOOL = 1, 6, 7, 9  # of onnx.TensorProto

_SMALL = 1024  # numbers of a constant that nodes may share

States = Sequence[str]
Body = Callable[..., tuple[States, States]]
"""From a loop's graph, the iteration and the states to new states and what is stacked."""


class Graph:
    """A graph, or the body of a loop: ``graph.Add(x, 1.0)`` adds a node.

    Nodes take and return names of values. Integers among their inputs become constants of
    int64, other numbers of float32, and arrays keep their type. ``None`` leaves an input
    out.
    """

    def __init__(self, parent: Graph | None = None) -> None:
        self.nodes: list[Any] = []
        # Of this graph alone: ONNX Runtime does not pack matrices for a loop in a loop if
        # they are constants of the outermost graph.
        self._constants: dict[Any, Any] = {}
        self._names: Iterator[str] = parent._names if parent else map(str, count())

    def __getattr__(self, op: str) -> Any:
        return partial(self.node, op)

    def node(self, op: str, *inputs: Any, n_outputs: int = 1, **attributes: Any) -> Any:
        """The name of the node's output; a list of names if there are more."""
        from onnx import helper

        names = [self.value(x) for x in inputs]
        outputs = [next(self._names) for _ in range(n_outputs)]
        self.nodes.append(helper.make_node(op, names, outputs, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def name(self, value: str, name: str) -> None:
        """Gives a value a name, as an output of the model."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def loop(self, n: Any, states: States, n_stacked: int, body: Body) -> list[str]:
        """Runs a body ``n`` times, from states (float32); returns the last, and stacks."""
        from onnx import helper

        inside = Graph(self)
        given = [next(inside._names) for _ in range(2 + len(states))]
        after, stacked = body(inside, given[0], *given[2:])
        outputs = [inside.Identity(given[1]), *after, *stacked]
        types = [INT64, BOOL, *[FLOAT] * (len(states) + n_stacked)]

        def infos(names: Sequence[str], types: Sequence[int]) -> list[Any]:
            return [
                helper.make_tensor_value_info(name, kind, None if kind == FLOAT else [])
                for name, kind in zip(names, types, strict=False)
            ]

        graph = helper.make_graph(
            inside.nodes,
            f"loop_{given[0]}",
            infos(given, types),
            infos(outputs, types[1:]),
            [*inside._constants.values()],
        )
        n_outputs = len(states) + n_stacked
        found = self.node("Loop", n, None, *states, n_outputs=n_outputs, body=graph)
        return [found] if n_outputs == 1 else list(found)

    def model(self, inputs: dict[str, Any], outputs: dict[str, Any], version: str) -> Any:
        """The whole as a model; inputs and outputs have types and shapes by name."""
        from onnx import helper

        infos = (
            [helper.make_tensor_value_info(name, *values[name]) for name in values]
            for values in (inputs, outputs)
        )
        graph = helper.make_graph(self.nodes, "elmo", *infos, [*self._constants.values()])
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="keras-elmo",
            producer_version=version,
        )

    def value(self, x: Any) -> str:
        """The name of an input, which may be a constant."""
        if x is None or isinstance(x, str):
            return x or ""
        array = np.asarray(x)
        if not isinstance(x, np.ndarray):
            array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        return self._constant(array)

    def _constant(self, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        key: Any = len(self._constants)
        if array.size <= _SMALL:
            key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, next(self._names))
        return str(self._constants[key].name)
