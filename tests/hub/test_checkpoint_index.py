"""Indices of checkpoints whose checksums are right, and whose content is not.

TensorFlow ends the process at some of these, so that they are not shown to it here.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2

from keras_elmo.errors import DamagedSourceError
from keras_elmo.hub.checkpoint_index import check_index
from keras_elmo.hub.tf_hub import read_tf_hub
from tests.fuzzing.checkpoints import masked_crc, varint

HEADER = tensor_bundle_pb2.BundleHeaderProto(num_shards=1).SerializeToString()


def entry(shape: tuple[int, ...] = (2, 3), dtype: int = types_pb2.DT_FLOAT) -> bytes:
    message = tensor_bundle_pb2.BundleEntryProto(dtype=dtype, size=24)
    for size in shape:
        message.shape.dim.add(size=size)
    return message.SerializeToString()


def changed(**fields: int) -> bytes:
    message = tensor_bundle_pb2.BundleEntryProto.FromString(entry())
    for name, value in fields.items():
        setattr(message, name, value)
    return message.SerializeToString()


def sliced(start: int, length: int) -> bytes:
    message = tensor_bundle_pb2.BundleEntryProto.FromString(entry((4,)))
    message.slices.add().extent.add(start=start, length=length)
    return message.SerializeToString()


def record(key: bytes, value: bytes, shared: int = 0) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(records: bytes, restarts: tuple[int, ...] = (0,), kind: bytes = b"\0") -> bytes:
    numbers = struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    content = records + numbers
    return content + kind + struct.pack("<I", masked_crc(content + kind))


def table(data: bytes) -> bytes:
    """A block of entries, an empty one, the one that lists the first, and the footer."""
    handle = varint(0) + varint(len(data) - 5)
    other = block(b"")
    listing = block(record(b"~", handle))
    footer = varint(len(data)) + varint(len(other) - 5)
    footer += varint(len(data) + len(other)) + varint(len(listing) - 5)
    magic = struct.pack("<Q", 0xDB4775248B80FB57)
    return data + other + listing + footer.ljust(40, b"\0") + magic


def index(value: bytes, key: bytes = b"bilm/char_embed") -> bytes:
    return table(block(record(b"", HEADER) + record(key, value)))


def written(folder: Path, content: bytes) -> Path:
    (folder / "variables").mkdir(exist_ok=True)
    (folder / "variables/variables.index").write_bytes(content)
    return folder / "variables/variables"


def test_good_ones(tmp_path: Path) -> None:
    for value in (entry(), entry(()), sliced(1, 3), sliced(0, 4)):
        check_index(written(tmp_path, index(value)))
    shared = record(b"", HEADER) + record(b"ab", entry()) + record(b"c", entry(), shared=1)
    check_index(written(tmp_path, table(block(shared))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (index(b"\xff\xff\xff"), "is damaged"),
        (index(entry((-1, 3))), r"no shape, \[-1, 3\]"),
        (index(entry((1 << 62, 1 << 62))), "the shape"),
        (index(entry((1,) * 300)), "no shape"),
        (index(entry(dtype=99)), "the unknown type 99"),
        (index(entry(dtype=0)), "the unknown type 0"),
        (index(changed(shard_id=1)), "no place in its files"),
        (index(changed(offset=-8)), "no place in its files"),
        (index(changed(size=-8)), "no place in its files"),
        (index(sliced(3, 2)), "a slice"),
        (index(sliced(-1, 2)), "a slice"),
        (index(entry(), key=b""), "not in their order"),
        (table(block(record(b"a", entry()))), "no header"),
        (table(block(b"")), "is empty"),
        (table(block(record(b"", b"\x08\xff\xff\xff\xff\x07"))), "no header"),
        (table(block(record(b"", HEADER), kind=b"\1")), "is compressed"),
        (table(block(record(b"", HEADER), restarts=())), "is cut"),
        (table(block(record(b"", HEADER), restarts=(0, 3))), "an entry of its index"),
        (table(block(record(b"", HEADER) + record(b"a", b"", shared=9))), "an entry of"),
        (table(block(record(b"", HEADER) + varint(0) + b"\xff" * 12)), "no end"),
        (index(entry())[:-1], "no end"),
        (index(entry())[:-60] + index(entry())[-48:], "."),
        (b"", "no end"),
        (b"\xff" * 40 + struct.pack("<Q", 0xDB4775248B80FB57), "no end"),
    ],
    ids=range(24),
)
def test_bad_ones(tmp_path: Path, content: bytes, message: str) -> None:
    prefix = written(tmp_path, content)
    with pytest.raises(ValueError, match=message):
        check_index(prefix)
    with pytest.raises(DamagedSourceError, match=f"the TF-Hub module '{tmp_path}'"):
        read_tf_hub(tmp_path)


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"variables\.index"):
        check_index(tmp_path / "variables")
