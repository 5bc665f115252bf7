"""Reads NumPy files from untrusted sources: checked before they are read, no pickle."""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_elmo.weights.archive import most_unpacked_bytes

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What NumPy raises for headers that are not Python literals or do not describe an array.
_DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError),
    *(RecursionError, SyntaxError, TypeError, ValueError, tokenize.TokenError),
)


def map_npy(path: Path, kinds: str = "f") -> NDArray[Any]:
    """Maps a ``.npy`` file into memory; its dtype has one of NumPy's ``kinds``."""
    with path.open("rb") as file:
        shape, dtype, order = _header(file, path.name)
        n_bytes = os.fstat(file.fileno()).st_size - file.tell()
    declared = math.prod(shape) * dtype.itemsize
    if dtype.kind not in kinds or order != "C":
        raise ValueError(f"{path.name!r} holds {dtype} {shape!s:.100} in order {order}")
    if declared != n_bytes:
        raise ValueError(
            f"{path.name!r} declares {declared:,} bytes of numbers and has {n_bytes:,}: it "
            "is cut or damaged"
        )
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def read_member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], kinds: str
) -> NDArray[Any]:
    """Reads an array of a ``.npz`` file; raises KeyError, or ValueError if it differs."""
    member = archive.getinfo(f"{name}.npy")
    if member.file_size > most_unpacked_bytes(member.compress_size):
        raise ValueError(
            f"{name} unpacks from {member.compress_size:,} bytes to {member.file_size:,}"
        )
    with archive.open(member) as file:
        found, dtype, order = _header(file, name)
        if found != shape or dtype.kind not in kinds:
            wanted = "floating-point numbers" if kinds == "f" else "numbers"
            raise ValueError(
                f"expected {name} to be {wanted} of shape {shape}; got {dtype} "
                f"{found!s:.100}."
            )
        n_bytes = math.prod(shape) * dtype.itemsize
        data = file.read(n_bytes + 1)  # to the end, so that the checksum is compared
    if len(data) != n_bytes:
        raise ValueError(f"{name} is cut, or followed by something else.")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _header(
    file: IO[bytes], name: str
) -> tuple[tuple[int, ...], np.dtype[Any], Literal["C", "F"]]:
    try:
        shape, is_fortran, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    except _DAMAGED as error:
        raise ValueError(f"{name!r} is not a NumPy file ({error!s:.200})") from error
    is_plain = dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype.isnative
    if not is_plain or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"{name!r} holds {dtype!s:.100} {shape!s:.100}")
    return shape, dtype, "F" if is_fortran else "C"
