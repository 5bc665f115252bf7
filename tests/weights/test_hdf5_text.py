"""Strings in HDF5, and heaps of them that are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_elmo.vectors import open_embeddings
from keras_elmo.weights.hdf5_text import (
    read_only_string,
    read_text_attribute,
    write_text_attribute,
)


def written(path: Path, *texts: str) -> Path:
    with h5py.File(path, "w") as file:
        for i, text in enumerate(texts):
            file.create_dataset(str(i), (1,), h5py.string_dtype())[0] = text
    return path


def read(path: Path, name: str) -> bytes:
    with h5py.File(path) as file:
        return read_only_string(file, file[name])


def test_strings_of_any_length(tmp_path: Path) -> None:
    texts = ["a", "", "naïve", "x" * 70_000, "y" * 15, "z" * 16, "GCOL\x01"]
    path = written(tmp_path / "a.hdf5", *texts)
    for i, text in enumerate(texts):
        assert read(path, str(i)) == text.encode()


def test_what_is_no_string(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_dataset("two", (2,), h5py.string_dtype())
        file["fixed"] = np.array([b"abc"])
        file["number"] = np.zeros(1)
        file.create_dataset("chunked", (1,), h5py.string_dtype(), chunks=(1,))
        for name in ("two", "fixed", "number"):
            with pytest.raises(ValueError, match="expected one string"):
                read_only_string(file, file[name])
        with pytest.raises(ValueError, match="not stored as h5py does"):
            read_only_string(file, file["chunked"])
        write_text_attribute(file, "text", "naïve")
        file.attrs["variable"], file.attrs["number"] = "a", 3
        file.attrs["several"] = np.array([b"a", b"b"])
        assert read_text_attribute(file, "text") == "naïve".encode()
        for name in ("variable", "number", "several"):
            with pytest.raises(ValueError, match=f"attribute '{name}' is another one"):
                read_text_attribute(file, name)


def test_a_heap_in_which_the_library_goes_round_for_ever(tmp_path: Path) -> None:
    """Free space of no size, in front of the string."""
    path = written(tmp_path / "a.hdf5", '{"a": 0}')
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    struct.pack_into("<HHIQ", content, heap + 16, 0, 0, 0, 0)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its text is missing"):
        read(path, "0")
    with h5py.File(path, "a") as file:
        file.move("0", "sentence_to_index")
    with (
        open_embeddings(path) as embeddings,
        pytest.raises(ValueError, match=r"a.hdf5': 'sentence_to_index' is damaged \(its"),
    ):
        assert embeddings.sentences


@pytest.mark.parametrize(
    ("place", "number"),
    [(0, 0), (4, 2), (8, 1 << 60), (16, 7), (24, 1 << 62), (24, 2), (24, 4096)],
)
def test_damaged_heaps(tmp_path: Path, place: int, number: int) -> None:
    path = written(tmp_path / "a.hdf5", '{"a": 0}')
    content = bytearray(path.read_bytes())
    content[(heap := content.index(b"GCOL")) + place : heap + place + 8] = struct.pack(
        "<Q", number
    )
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its text is"):
        read(path, "0")
