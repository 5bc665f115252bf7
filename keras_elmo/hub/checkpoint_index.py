"""Checks the index of a TensorFlow checkpoint before TensorFlow reads it.

TensorFlow trusts the index: a bad entry or an impossible shape crashes the process.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_elmo.errors import SourceError
from keras_elmo.hub.wire import read_varint

# An index is a LevelDB table: blocks of sorted keys and values, a block that lists these
# blocks, and a footer.
_FOOTER = 48  # bytes: two handles of up to 20 bytes, and the magic number
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER = 5  # bytes after a block: compression and checksum

_OBJECTS = b"_CHECKPOINTABLE_OBJECT_GRAPH"  # in TensorFlow 2 checkpoints

# The index of a real module lists under 200 variables in tens of kilobytes.
_MOST_BYTES = 1 << 20
_MOST_VARIABLES = 10_000
_LONGEST_NAME = 1_000  # bytes
_MOST_DIMENSIONS = 8
_MOST_SHARDS = 1_000

# TensorFlow's number of each type: its name and item size in bytes.
_TYPES = {
    1: ("float32", 4),
    2: ("float64", 8),
    3: ("int32", 4),
    9: ("int64", 8),
    10: ("bool", 1),
    14: ("bfloat16", 2),
    19: ("float16", 2),
}


class StoredVariable(NamedTuple):
    """The dtype and the shape of a variable."""

    dtype: str
    shape: tuple[int, ...]


def read_index(prefix: Path) -> dict[str, StoredVariable]:
    """The variables of a checkpoint by name; ``prefix`` is its index without ``.index``."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import tensor_bundle_pb2

    path = prefix.with_name(f"{prefix.name}.index")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"its index is larger than {_MOST_BYTES:,} bytes")
    entries = _entries(path.read_bytes())
    variables: dict[str, StoredVariable] = {}
    try:
        key, value = next(entries, (b"", b""))
        n_shards = tensor_bundle_pb2.BundleHeaderProto.FromString(value).num_shards
        if key or not 0 < n_shards <= _MOST_SHARDS:
            raise ValueError("its index has no header")
        names = (f"{prefix.name}.data-{i:05}-of-{n_shards:05}" for i in range(n_shards))
        file_sizes = [prefix.with_name(name).stat().st_size for name in names]
        for key, value in entries:
            if key == _OBJECTS:
                raise SourceError(
                    f"The SavedModel in {str(prefix.parents[1])!r} is not a TF1 Hub "
                    "module: TensorFlow 2 wrote it. If it comes from export_saved_model, "
                    "use the exported model, or write its weights with save_hdf5."
                )
            entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
            if problem := _problem(entry, file_sizes):
                raise ValueError(f"in its index, {key[:100]!r} has {problem}")
            shape = tuple(dimension.size for dimension in entry.shape.dim)
            variables[key.decode()] = StoredVariable(_TYPES[entry.dtype][0], shape)
            if len(variables) > _MOST_VARIABLES:
                raise ValueError(f"its index lists over {_MOST_VARIABLES:,} variables")
    except (DecodeError, struct.error) as error:
        raise ValueError(f"its index is damaged: {error}") from error
    return variables


def _problem(entry: Any, file_sizes: Sequence[int]) -> str:
    """What is wrong with an entry; empty if nothing is."""
    sizes = [dimension.size for dimension in entry.shape.dim]
    if entry.dtype not in _TYPES:
        return f"the unsupported type {entry.dtype}"
    if len(sizes) > _MOST_DIMENSIONS or min(sizes, default=0) < 0:
        return f"the shape {sizes[: _MOST_DIMENSIONS + 1]}"
    if entry.slices or entry.shape.unknown_rank:
        return "slices instead of numbers"
    if entry.size != math.prod(sizes) * _TYPES[entry.dtype][1]:
        return f"{entry.size:,} bytes for the shape {sizes}"
    stored = file_sizes[entry.shard_id] if 0 <= entry.shard_id < len(file_sizes) else 0
    if entry.offset < 0 or entry.offset + entry.size > stored:
        return "numbers outside the checkpoint's files"
    return ""


def _entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a table."""
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or footer[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("its index has no footer")
    place = 0
    handles = []  # of an unused block, and of the block that lists the others
    for _ in range(4):
        number, place = read_varint(footer, place)
        handles.append(number)
    last, end = None, 0
    for _, handle in _block(content, *handles[2:]):
        start, place = read_varint(handle, 0)
        size, _ = read_varint(handle, place)
        if start < end:
            raise ValueError("the blocks of its index overlap")
        end = start + size
        for key, value in _block(content, start, size):
            if last is not None and key <= last:
                raise ValueError("the names in its index are not sorted")
            last = key
            yield key, value


def _block(content: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block."""
    end = start + size
    if size < 4 or end + _TRAILER > len(content) - _FOOTER:
        raise ValueError("its index is cut")
    if content[end] != 0:
        raise ValueError("its index is compressed")
    block = content[start:end]
    (n_restarts,) = struct.unpack_from("<I", block, size - 4)
    stop = size - 4 - 4 * n_restarts
    if n_restarts == 0 or stop < 0:
        raise ValueError("its index is cut")
    whole = {0}  # the positions of entries with a whole key
    key, place = b"", 0
    while place < stop:
        first = place
        shared, place = read_varint(block, place)
        n_key, place = read_varint(block, place)
        n_value, place = read_varint(block, place)
        # A key omits the prefix that it shares with the previous key.
        key = key[:shared] + block[place : place + n_key]
        place += n_key
        if len(key) != shared + n_key or len(key) > _LONGEST_NAME or place + n_value > stop:
            raise ValueError("an entry of its index is damaged")
        if shared == 0:
            whole.add(first)
        yield key, block[place : place + n_value]
        place += n_value
    # TensorFlow starts its search at these positions: others would give it other entries.
    if not whole.issuperset(struct.unpack_from(f"<{n_restarts}I", block, stop)):
        raise ValueError("an entry of its index is damaged")
