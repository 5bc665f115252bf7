"""The index of a TensorFlow checkpoint, looked through before TensorFlow reads it.

TensorFlow takes an index whose checksums are right at its word: an entry that it cannot
parse, or a shape that cannot be, ends the process. The index is a table as LevelDB writes
them: blocks of sorted keys and values, a block that lists them, and a footer.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FOOTER = 48  # bytes: two handles of up to 20, and the number below
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER = 5  # bytes behind a block: its compression, its checksum
_MOST_BYTES = 1 << 26  # an index of a few hundred variables has some tens of kilobytes
_MOST_DIMENSIONS = 8
_MOST_SHARDS = 10_000
_LARGEST_VARINT = 10  # bytes


def check_index(prefix: Path) -> None:
    """Looks through an index, as far as it could mislead TensorFlow.

    Args:
        prefix: The checkpoint, as TensorFlow names it: the path of its index without
            ``.index``.

    Raises:
        OSError: The index cannot be read.
        ValueError: It is damaged, or was made to do harm.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import tensor_bundle_pb2

    path = prefix.with_name(f"{prefix.name}.index")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"its index is larger than {_MOST_BYTES:,} bytes")
    n_shards = 0
    try:
        for i, (key, value) in enumerate(_entries(path.read_bytes())):
            if i == 0:
                header = tensor_bundle_pb2.BundleHeaderProto.FromString(value)
                n_shards = header.num_shards
                if key or not 0 < n_shards <= _MOST_SHARDS:
                    raise ValueError("its index has no header")
                continue
            entry = tensor_bundle_pb2.BundleEntryProto.FromString(value)
            if problem := _problem(entry, n_shards):
                raise ValueError(f"in its index, {key[:100]!r} has {problem}")
    except (DecodeError, IndexError, struct.error) as error:
        raise ValueError(f"its index is damaged: {error}") from error
    if n_shards == 0:
        raise ValueError("its index is empty")


def _problem(entry: Any, n_shards: int) -> str:
    """What is wrong with an entry; empty if nothing is."""
    from tensorflow.core.framework import types_pb2

    sizes = [dimension.size for dimension in entry.shape.dim]
    if entry.dtype not in types_pb2.DataType.values() or entry.dtype == 0:
        return f"the unknown type {entry.dtype}"
    if (
        entry.shape.unknown_rank
        or len(sizes) > _MOST_DIMENSIONS
        or min(sizes, default=0) < 0
    ):
        return f"no shape, {sizes[: _MOST_DIMENSIONS + 1]}"
    if math.prod(sizes) >= 1 << 48:
        return f"the shape {sizes}"
    if not 0 <= entry.shard_id < n_shards or entry.offset < 0 or entry.size < 0:
        return "no place in its files"
    for piece in entry.slices:
        extents = [
            (e.start, e.length if e.HasField("length") else None) for e in piece.extent
        ]
        if len(extents) != len(sizes) or not all(
            start >= 0 and (length is None or (length > 0 and start + length <= size))
            for (start, length), size in zip(extents, sizes, strict=True)
        ):
            return f"a slice {extents}"
    return ""


def _entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a table."""
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or footer[-len(_MAGIC) :] != _MAGIC:
        raise ValueError("its index has no end")
    place = 0
    numbers = []
    for _ in range(4):
        number, place = _varint(footer, place)
        numbers.append(number)
    list(_block(content, *numbers[:2]))
    last = None
    for _, handle in _block(content, *numbers[2:]):
        start, place = _varint(handle, 0)
        size, _ = _varint(handle, place)
        for key, value in _block(content, start, size):
            if last is not None and key <= last:
                raise ValueError("the names in its index are not in their order")
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
    # Where TensorFlow begins when it looks for a key, which must be whole there.
    restarts = set(struct.unpack_from(f"<{n_restarts}I", block, stop)) - {0}
    key, place = b"", 0
    while place < stop:
        is_restart = place in restarts
        restarts.discard(place)
        shared, place = _varint(block, place)
        n_key, place = _varint(block, place)
        n_value, place = _varint(block, place)
        # What a key shares with the one before is left out.
        if shared > len(key) or (is_restart and shared) or place + n_key + n_value > stop:
            raise ValueError("an entry of its index is damaged")
        key = key[:shared] + block[place : place + n_key]
        place += n_key
        yield key, block[place : place + n_value]
        place += n_value
    if restarts:
        raise ValueError("an entry of its index is damaged")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """An integer of seven bits in each byte, and the place behind it."""
    number = 0
    for i in range(_LARGEST_VARINT):
        byte = data[place + i]
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number, place + i + 1
    raise ValueError("a number in its index has no end")
