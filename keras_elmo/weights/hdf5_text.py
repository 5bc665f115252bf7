"""Texts in HDF5 files, read without the library's heap of strings.

HDF5 keeps strings of any length in a heap, and its library goes round for ever in one that
is damaged in the right place. Our own text has a fixed length, and lies elsewhere; the one
string that AllenNLP wrote is read from the heap here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

import h5py
import numpy as np

from keras_elmo.weights.hdf5_safety import place_problem

_MOST_ATTRIBUTE_BYTES = 1 << 20
_HEAP = struct.Struct("<4sB3xQ")  # signature, version, size in bytes
_OBJECT = struct.Struct("<H6xQ")  # number, size in bytes
_PLACE = struct.Struct("<IQI")  # of a string: its length, its heap, its number there


def write_text_attribute(file: h5py.File, name: str, text: str) -> None:
    """Writes an attribute of the file that :func:`read_text_attribute` reads."""
    file.attrs[name] = np.bytes_(text.encode())


def read_text_attribute(file: h5py.File, name: str) -> bytes:
    """Reads an attribute of the file that :func:`write_text_attribute` wrote.

    Raises:
        KeyError: There is none.
        ValueError: It is another one.
    """
    attribute = file.attrs.get_id(name)
    is_text = attribute.dtype.kind == "S" and attribute.shape == ()
    if not is_text or attribute.get_storage_size() > _MOST_ATTRIBUTE_BYTES:
        raise ValueError(f"its attribute {name!r} is another one")
    return bytes(file.attrs[name])


def read_only_string(file: h5py.File, dataset: h5py.Dataset) -> bytes:
    """Reads a dataset of one string of any length.

    Args:
        file: The file, open.
        dataset: The dataset.

    Returns:
        The string.

    Raises:
        ValueError: It is something else, or damaged.
    """
    kind = h5py.check_string_dtype(dataset.dtype)
    if dataset.shape != (1,) or kind is None or kind.length is not None:
        raise ValueError("expected one string")
    problem = place_problem(dataset)
    offset = dataset.id.get_offset()
    sizes = file.id.get_create_plist().get_sizes()
    if problem or offset is None or file.userblock_size or sizes != (8, 8):
        raise ValueError(problem or "it is not stored as h5py does")
    with Path(file.filename).open("rb") as content:
        content.seek(offset)
        length, heap, number = _PLACE.unpack(_bytes(content, _PLACE.size))
        if length == 0:
            return b""
        text = _object(content, heap, number)
    if length > len(text):
        raise ValueError("its text is cut")
    return text[:length]


def _object(content: IO[bytes], heap: int, number: int) -> bytes:
    """An object of a heap."""
    n_bytes = content.seek(0, 2)
    if heap + _HEAP.size > n_bytes:
        raise ValueError("its text is behind the end of the file")
    content.seek(heap)
    signature, version, size = _HEAP.unpack(_bytes(content, _HEAP.size))
    if (signature, version) != (b"GCOL", 1) or heap + size > n_bytes:
        raise ValueError("its text is missing")
    place, end = heap + _HEAP.size, heap + size
    while place + _OBJECT.size <= end:
        content.seek(place)
        found, length = _OBJECT.unpack(_bytes(content, _OBJECT.size))
        place += _OBJECT.size
        if found == 0 or place + length > end:  # the rest is free, or damaged
            break
        if found == number:
            return _bytes(content, length)
        place += length + -length % 8
    raise ValueError("its text is missing")


def _bytes(content: IO[bytes], n: int) -> bytes:
    data = content.read(n)
    if len(data) < n:
        raise ValueError("its text is cut")
    return data
