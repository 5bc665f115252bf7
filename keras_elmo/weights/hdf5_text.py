"""Texts in HDF5 files, read without HDF5's own reader, which hangs if they are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np

from keras_elmo.weights.hdf5_safety import place_problem

_MOST_ATTRIBUTE_BYTES = 1 << 20
_PLACE = struct.Struct("<IQI")  # a string's length, its heap, its number in the heap
# A heap's signature, version and size, then the number and size of its first object.
_HEAP = struct.Struct("<4sB3x8xH6xQ")


def write_text_attribute(file: h5py.File, name: str, text: str) -> None:
    """Writes an attribute of the file that :func:`read_text_attribute` reads."""
    file.attrs[name] = np.bytes_(text.encode())


def read_text_attribute(file: h5py.File, name: str) -> bytes:
    """Reads what :func:`write_text_attribute` wrote; raises KeyError or ValueError."""
    attribute = file.attrs.get_id(name)
    is_text = attribute.dtype.kind == "S" and attribute.shape == ()
    if not is_text or attribute.get_storage_size() > _MOST_ATTRIBUTE_BYTES:
        raise ValueError(f"its attribute {name!r} is not a text of fixed length")
    return bytes(file.attrs[name])


def read_only_string(file: h5py.File, dataset: h5py.Dataset) -> bytes:
    """Reads the only variable-length string of a file; raises ValueError if damaged."""
    kind = h5py.check_string_dtype(dataset.dtype)
    if dataset.shape != (1,) or kind is None or kind.length is not None:
        raise ValueError("expected one string")
    offset = dataset.id.get_offset()
    sizes = file.id.get_create_plist().get_sizes()
    if place_problem(dataset) or offset is None or file.userblock_size or sizes != (8, 8):
        raise ValueError("it is not stored as h5py stores it")
    with Path(file.filename).open("rb") as content:
        content.seek(offset)
        length, heap, number = _PLACE.unpack(content.read(_PLACE.size))
        content.seek(min(heap, file.id.get_filesize()))
        start = content.read(_HEAP.size).ljust(_HEAP.size, b"\0")
        text = content.read(length)
    signature, version, first, size = _HEAP.unpack(start)
    if length and (
        (signature, version, first) != (b"GCOL", 1, number) or length > min(size, len(text))
    ):
        raise ValueError("its text is missing or cut")
    return text[:length]
