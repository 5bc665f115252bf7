"""Strings in HDF5, and heaps of them that are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_elmo.weights.hdf5_text import (
    read_only_string,
    read_text_attribute,
    write_text_attribute,
)


def written(path: Path, text: str) -> Path:
    """As AllenNLP writes it: after arrays, as the only string of any length."""
    with h5py.File(path, "w") as file:
        file["0"] = np.zeros(3)
        file.create_dataset("text", (1,), h5py.string_dtype())[0] = text
    return path


def read(path: Path) -> bytes:
    with h5py.File(path) as file:
        return read_only_string(file, file["text"])


@pytest.mark.parametrize("text", ["a", "", "naïve", "x" * 70_000, "y" * 15, "GCOL\x01"])
def test_strings_of_any_length(tmp_path: Path, text: str) -> None:
    assert read(written(tmp_path / "a.hdf5", text)) == text.encode()


def test_what_is_no_string(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_dataset("two", (2,), h5py.string_dtype())
        file["fixed"] = np.array([b"abc"])
        file["number"] = np.zeros(1)
        file.create_dataset("chunked", (1,), h5py.string_dtype(), chunks=(1,))
        for name in ("two", "fixed", "number", "chunked"):
            message = (
                "not stored as h5py stores it" if name == "chunked" else "expected one st"
            )
            with pytest.raises(ValueError, match=message):
                read_only_string(file, file[name])
        write_text_attribute(file, "text", "naïve")
        file.attrs["variable"], file.attrs["number"] = "a", 3
        file.attrs["several"] = np.array([b"a", b"b"])
        assert read_text_attribute(file, "text") == "naïve".encode()
        for name in ("variable", "number", "several"):
            with pytest.raises(
                ValueError, match=f"attribute '{name}' is not a text of fixed length"
            ):
                read_text_attribute(file, name)


# From the start of the heap: its signature, its version, its first object's number and
# size. The second object of no size is free space, at which the library never ends.
DAMAGE = [(0, 0), (4, 2), (16, 0), (16, 7), (24, 0), (24, 2)]
ADDRESSES = [1 << 20, 1 << 62, (1 << 64) - 8]


@pytest.mark.parametrize(("place", "number"), [*DAMAGE, *((None, a) for a in ADDRESSES)])
def test_damaged_heaps(tmp_path: Path, place: int | None, number: int) -> None:
    path = written(tmp_path / "a.hdf5", '{"a": 0}')
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    # Without a place in it: the string's address of the heap.
    start = content.index(struct.pack("<Q", heap)) if place is None else heap + place
    struct.pack_into("<Q", content, start, number)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its text is missing or cut"):
        read(path)
