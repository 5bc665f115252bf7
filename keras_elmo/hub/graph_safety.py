"""Checks the graph of a TF1 Hub module, which is a program, before it runs.

A graph may use the operations of published ELMo modules and similar ones, which compute
numbers from numbers and strings, and those of a ``tf.train.Saver`` to restore it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_elmo.hub.wire import fields

_COMPUTING_NAMES = """
Abs Add AddN AddV2 All Any ArgMax ArgMin Assert Assign AssignAdd AssignAddVariableOp
AssignSub AssignSubVariableOp AssignVariableOp BatchMatMul BatchMatMulV2 BiasAdd
BroadcastArgs BroadcastTo Cast Ceil ClipByValue Concat ConcatV2 Const ControlTrigger
Conv2D Cumsum DecodePaddedRaw DecodeRaw Div DivNoNan DynamicPartition DynamicStitch Enter
Equal Exit Exp ExpandDims Fill Floor FloorDiv FloorMod Gather GatherNd GatherV2 Greater
GreaterEqual Identity IdentityN InvertPermutation IsVariableInitialized L2Loss Less
LessEqual Log LogSoftmax LogicalAnd LogicalNot LogicalOr LoopCond MatMul Max MaxPool
MaxPoolV2 Maximum Mean Merge Min Minimum Mod Mul Neg NextIteration NoOp NotEqual OneHot
OnesLike Pack Pad PadV2 Placeholder PlaceholderV2 PlaceholderWithDefault Pow
PreventGradient Prod RandomStandardNormal RandomUniform Range Rank ReadVariableOp RealDiv
Reciprocal RefEnter RefExit RefMerge RefNextIteration RefSwitch RegexReplace Relu Reshape
ResourceGather Reverse ReverseSequence ReverseV2 Round Rsqrt Select SelectV2 Shape ShapeN
Sigmoid Sign Size Slice Softmax Softplus SparseToDense Split SplitV Sqrt Square
SquaredDifference Squeeze StaticRegexFullMatch StaticRegexReplace StopGradient
StridedSlice StringJoin StringLength StringLower StringSplit StringSplitV2 StringStrip
StringUpper Sub Substr Sum Switch Tanh TensorArrayCloseV3 TensorArrayConcatV3
TensorArrayGatherV3 TensorArrayReadV3 TensorArrayScatterV3 TensorArraySizeV3
TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3 Tile Transpose TruncateDiv
TruncatedNormal Unpack VarIsInitializedOp Where ZerosLike
"""
_COMPUTING = frozenset(_COMPUTING_NAMES.split())
_VARIABLES = frozenset(["VarHandleOp", "Variable", "VariableV2"])
_SAVER = frozenset(["MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"])
ALLOWED = _COMPUTING | _VARIABLES | _SAVER
"""The names of the operations."""

# TensorFlow runs these to restore a module when it loads it.
_RESTORING = _VARIABLES | {"Assign", "AssignVariableOp", "Const", "Identity", "NoOp"}
_RESTORING |= {"Placeholder", "PlaceholderWithDefault", "Reshape", "RestoreV2"}

_VARIABLE_LISTS = {"model_variables", "trainable_variables", "variables"}
_VARIABLE_LISTS |= {"moving_average_variables"}
_INITIALIZERS = {"legacy_init_op", "saved_model_main_op", "saved_model_train_op"}
# TensorFlow keeps these lists but runs nothing in them.
_COLLECTIONS = _VARIABLE_LISTS | _INITIALIZERS | {"cond_context", "while_context"}
_COLLECTIONS |= {"hub_module_attachments", "losses", "regularization_losses", "update_ops"}

_MOST_NODES = 50_000  # published modules have under 10,000
_MOST_BYTES = 1 << 23  # without the numbers of constants
_FIELD_BYTES = 8  # in memory, without its content

# The places of nodes and of constants' numbers: nested field numbers of a SavedModel.
_VALUE: dict[int, Any] = {8: {4: "numbers"}}  # AttrValue.tensor.tensor_content
_NODE: dict[int, Any] = {5: {2: _VALUE}}  # NodeDef.attr, a map
_SAVED_MODEL: dict[int, Any] = {2: {2: {1: _NODE}}}  # meta_graphs, graph_def, node


def graph_problem(directory: Path) -> str | None:
    """The reason not to load a module, as the end of a sentence; ``None`` if it is safe."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    content = (directory / "saved_model.pb").read_bytes()
    if problem := _size_problem(content):
        return problem
    try:
        saved = saved_model_pb2.SavedModel.FromString(content)
        return next(filter(None, map(_problem, saved.meta_graphs)), None)
    except DecodeError as error:
        raise ValueError(f"saved_model.pb is damaged: {error}") from error


def _size_problem(content: bytes) -> str | None:
    """Counts nodes and bytes in the file, before they become objects in memory."""
    n_nodes = n_bytes = 0
    for kind, size in _parts(memoryview(content), _SAVED_MODEL):
        n_nodes += kind is _NODE
        n_bytes += size
        if n_nodes > _MOST_NODES or n_bytes > _MOST_BYTES:
            return (
                f"has a graph of over {_MOST_NODES:,} operations or, without constants, "
                f"over {_MOST_BYTES >> 20} MiB"
            )
    return None


def _parts(message: memoryview, kinds: Mapping[int, Any]) -> Iterator[tuple[Any, int]]:
    """The kind and the least size in bytes of each field and its subfields."""
    for number, content in fields(message):
        kind = kinds.get(number)
        if isinstance(kind, dict):
            yield kind, _FIELD_BYTES
            yield from _parts(content, kind)
        else:
            yield kind, _FIELD_BYTES + (0 if kind == "numbers" else len(content))


def _problem(graph: Any) -> str | None:
    from tensorflow.core.framework import types_pb2

    if graph.HasField("object_graph_def") or graph.asset_file_def:
        return "has assets or TensorFlow 2 objects"
    if graph.graph_def.library.function:
        return "has functions"
    for name in graph.collection_def:
        if name not in _COLLECTIONS:
            return f"has the collection {name!r:.100}"
    nodes = {node.name: node for node in graph.graph_def.node}
    if len(nodes) < len(graph.graph_def.node):
        return "has several operations of the same name"
    for node in nodes.values():
        if node.op not in ALLOWED:
            return f"has the operation {node.op!r:.100} ({node.name!r:.100})"
        dtype = node.attr["dtype"].type if node.op == "Const" else None
        if dtype in (types_pb2.DT_RESOURCE, types_pb2.DT_VARIANT):
            return f"has a constant that is neither numbers nor text ({node.name!r:.100})"
    return _initializer_problem(graph, nodes) or _saver_problem(graph, nodes)


def _initializer_problem(graph: Any, nodes: Mapping[str, Any]) -> str | None:
    """Checks that loading a module runs nothing but the restoring of its variables."""
    from tensorflow.core.framework import variable_pb2

    names: list[str] = []
    for key in _INITIALIZERS & set(graph.collection_def):
        names += graph.collection_def[key].node_list.value
    for key, signature in graph.signature_def.items():
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            if tensor.WhichOneof("encoding") != "name":
                return "has an input or output that is not a tensor"
            if key.startswith("__saved_model"):
                names.append(tensor.name)
    for name in names:
        node = nodes.get(_node_name(name))
        if node is None or node.op != "NoOp" or node.input:
            return f"computes when it is loaded ({name!r:.100})"
    for key in _VARIABLE_LISTS & set(graph.collection_def):
        for value in graph.collection_def[key].bytes_list.value:
            name = variable_pb2.VariableDef.FromString(value).variable_name
            node = nodes.get(_node_name(name))
            if node is None or node.op not in _VARIABLES or node.input:
                return f"lists a variable that does not exist ({name!r:.100})"
    return None


def _saver_problem(graph: Any, nodes: Mapping[str, Any]) -> str | None:
    """Checks that only the saver uses files, to restore the module's own variables."""
    saver = graph.saver_def
    restoring = _ancestors(nodes, [saver.restore_op_name])
    saving = _ancestors(nodes, [saver.save_tensor_name])
    outputs = [t.name for s in graph.signature_def.values() for t in s.outputs.values()]
    run = _ancestors(nodes, outputs)
    files = [saver.filename_tensor_name.removesuffix(":0")]
    for name, node in nodes.items():
        if name in restoring and node.op not in _RESTORING:
            return f"computes when it is loaded ({name!r:.100})"
        if node.op in _SAVER and (name in run or name not in restoring | saving):
            return f"reads or writes files when it is run ({name!r:.100})"
        if (
            node.op == "RestoreV2"
            and [x.removesuffix(":0") for x in node.input[:1]] != files
        ):
            return f"reads foreign files ({name!r:.100})"
    return None


def _ancestors(nodes: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    """These nodes, and all nodes that they depend on."""
    waiting = list(names)
    found: set[str] = set()
    while waiting:
        name = _node_name(waiting.pop())
        if name in nodes and name not in found:
            found.add(name)
            waiting += nodes[name].input
    return found


def _node_name(tensor: str) -> str:
    """The node of a tensor ``name:0`` or of a control input ``^name``."""
    return tensor.removeprefix("^").partition(":")[0]
