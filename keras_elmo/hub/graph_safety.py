"""What is refused in the graphs of TF1 Hub modules.

A graph is a program, and TensorFlow has operations that read and write any file, open
connections or call Python. An ELMo needs none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# Never in a model: files, data sets, logs, other machines, Python, other programs.
_REACHING_OUT = re.compile(
    r"(Eager)?PyFunc(Stateless)?|ReadFile|WriteFile|MatchingFiles|.*Reader(V\d)?"
    r"|.*Dataset(V\d)?|.*Iterator.*|CreateSummary.*|SummaryWriter|Debug.*|PrintV2"
    r"|.*Rpc.*|Remote.*|.*Send|.*Recv"
)
# These save a module's variables. They are in every module, beside what it computes.
_SAVING = re.compile(r"Save(V2|Slices)?|MergeV2Checkpoints")
_MOST_BYTES = 1 << 31


def graph_problem(directory: Path) -> str | None:
    """Why a module should not be loaded.

    Args:
        directory: The module's.

    Returns:
        What is wrong, as the end of a sentence about the module; ``None`` if its graph
        stays within TensorFlow.

    Raises:
        OSError: The graph cannot be read.
        ValueError: It is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = directory / "saved_model.pb"
    if path.stat().st_size > _MOST_BYTES:
        return "has a graph of more than 2 GiB"
    try:
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"saved_model.pb is damaged: {error}") from error
    for graph in saved.meta_graphs:
        functions = [node for f in graph.graph_def.library.function for node in f.node_def]
        for node in (*graph.graph_def.node, *functions):
            if _REACHING_OUT.fullmatch(node.op):
                return f"has the operation {node.op!r:.100} ({node.name!r:.100})"
        run = [*functions, *_ancestors(graph.graph_def.node, _outputs(graph))]
        for node in run:
            if _SAVING.fullmatch(node.op):
                return f"writes files as it runs ({node.name!r:.100})"
    return None


def _outputs(graph: Any) -> Iterator[str]:
    """The nodes that are run when a module is loaded or called."""
    for signature in graph.signature_def.values():
        for tensor in signature.outputs.values():
            yield tensor.name
    yield graph.saver_def.restore_op_name
    for name in ("saved_model_main_op", "legacy_init_op", "saved_model_train_op"):
        if name in graph.collection_def:
            yield from graph.collection_def[name].node_list.value


def _ancestors(nodes: Iterable[Any], names: Iterable[str]) -> list[Any]:
    """The nodes that some depend on, and these themselves."""
    by_name = {node.name: node for node in nodes}
    waiting = list(names)
    found: dict[str, Any] = {}
    while waiting:
        name = waiting.pop().removeprefix("^").split(":")[0]
        if name in by_name and name not in found:
            found[name] = by_name[name]
            waiting += by_name[name].input
    return list(found.values())
