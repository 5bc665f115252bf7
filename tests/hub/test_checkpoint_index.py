"""Indices of checkpoints whose checksums are right, and whose content is not.

TensorFlow ends the process at some of these, so that they are not shown to it here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2

from keras_elmo.errors import DamagedSourceError
from keras_elmo.hub.checkpoint_index import read_index
from keras_elmo.hub.tf_hub import read_tf_hub
from tests.fuzzing.checkpoints import masked_crc, varint

HEADER = tensor_bundle_pb2.BundleHeaderProto(num_shards=1).SerializeToString()
FLOATS = (4, 6)  # the shape of the numbers in the data file


def entry(shape: tuple[int, ...] = FLOATS, **fields: Any) -> bytes:
    fields = {"dtype": types_pb2.DT_FLOAT, "size": 96, **fields}
    message = tensor_bundle_pb2.BundleEntryProto(**fields)
    for size in shape:
        message.shape.dim.add(size=size)
    return message.SerializeToString()


def record(key: bytes, value: bytes, shared: int = 0) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(records: bytes, restarts: tuple[int, ...] = (0,), kind: bytes = b"\0") -> bytes:
    numbers = struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    content = records + numbers
    return content + kind + struct.pack("<I", masked_crc(content + kind))


def table(data: bytes, n_listed: int = 1) -> bytes:
    """A block of entries, an empty one, the one that lists the first, and the footer."""
    handle = varint(0) + varint(len(data) - 5)
    other = block(b"")
    listing = block(record(b"~", handle) * n_listed)
    footer = varint(len(data)) + varint(len(other) - 5)
    footer += varint(len(data) + len(other)) + varint(len(listing) - 5)
    magic = struct.pack("<Q", 0xDB4775248B80FB57)
    return data + other + listing + footer.ljust(40, b"\0") + magic


FIRST = record(b"", HEADER)


def index(value: bytes, key: bytes = b"bilm/char_embed") -> bytes:
    return table(block(FIRST + record(key, value)))


def many(n: int) -> bytes:
    records = [record(b"%06d" % i, entry((), size=4)) for i in range(n)]
    return table(block(FIRST + b"".join(records)))


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables/variables.data-00000-of-00001").write_bytes(bytes(96))
    return tmp_path / "variables/variables"


def write(prefix: Path, content: bytes) -> None:
    prefix.with_name("variables.index").write_bytes(content)


def test_good_ones(prefix: Path) -> None:
    write(prefix, index(entry()))
    assert read_index(prefix) == {"bilm/char_embed": ("float32", FLOATS)}
    numbers = entry((), dtype=types_pb2.DT_INT64, size=8, offset=88)
    shared = FIRST + record(b"ab", entry()) + record(b"c", numbers, shared=1)
    write(prefix, table(block(shared)))
    assert read_index(prefix) == {"ab": ("float32", FLOATS), "ac": ("int64", ())}


BAD: dict[str, tuple[bytes, str]] = {
    "no message": (index(b"\xff\xff\xff"), "is damaged"),
    "negative": (index(entry((-1, 3))), r"the shape \[-1, 3\]"),
    "huge": (index(entry((1 << 62, 1 << 62))), "96 bytes for the shape"),
    "overflow": (index(entry((1 << 32, 1 << 32, 24))), "96 bytes for the shape"),
    "dimensions": (index(entry((1,) * 300)), "the shape"),
    "type": (index(entry(dtype=99)), "the unsupported type 99"),
    "no type": (index(entry(dtype=0)), "the unsupported type 0"),
    "strings": (index(entry(dtype=types_pb2.DT_STRING)), "the unsupported type 7"),
    "shard": (index(entry(shard_id=1)), "numbers outside the checkpoint's files"),
    "offset": (index(entry(offset=-8)), "numbers outside"),
    "past the end": (index(entry(offset=8)), "numbers outside"),
    "negative size": (index(entry(size=-8)), "-8 bytes for the shape"),
    "slices": (index(entry(slices=[{"extent": [{"length": 4}]}])), "slices instead of"),
    "order": (index(entry(), key=b""), "are not sorted"),
    "no header": (table(block(record(b"a", entry()))), "no header"),
    "empty": (table(block(b"")), "no header"),
    "shards": (table(block(record(b"", b"\x08\xff\xff\xff\xff\x07"))), "no header"),
    "compressed": (table(block(FIRST, kind=b"\1")), "is compressed"),
    "no restart": (table(block(FIRST, restarts=())), "is cut"),
    "restart": (table(block(FIRST, restarts=(0, 3))), "an entry of its"),
    "sharing": (table(block(FIRST + record(b"a", b"", shared=9))), "an entry of"),
    "varint": (table(block(FIRST + varint(0) + b"\xff" * 12)), "no end"),
    "cut": (index(entry())[:-1], "no footer"),
    "gap": (index(entry())[:-60] + index(entry())[-48:], "is cut"),
    "nothing": (b"", "no footer"),
    "footer": (b"\xff" * 40 + struct.pack("<Q", 0xDB4775248B80FB57), "no end"),
    "long name": (index(entry(), key=b"a" * 1001), "an entry of its index"),
    "too many": (many(10_001), "lists over 10,000 variables"),
    "too large": (bytes((1 << 20) + 1), "larger than 1,048,576 bytes"),
    "twice": (table(block(FIRST), n_listed=2), "blocks of its index overlap"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_ones(prefix: Path, content: bytes, message: str) -> None:
    write(prefix, content)
    with pytest.raises(ValueError, match=message):
        read_index(prefix)
    module = prefix.parents[1]
    with pytest.raises(DamagedSourceError, match=f"the TF-Hub module '{module}'"):
        read_tf_hub(module)


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
def test_missing_files(prefix: Path, name: str) -> None:
    write(prefix, index(entry()))
    prefix.with_name(name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        read_index(prefix)
