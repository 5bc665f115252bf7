"""NumPy files that others wrote: looked at before memory is set aside, never unpickled."""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What NumPy raises for headers that are no Python literal, or describe no array.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)
# How much larger than what is stored of it an array in a zip archive may be.
_LARGEST_RATIO = 20
_SMALLEST_LIMIT = 1 << 26  # bytes


def load_npy(path: Path, *, in_memory: bool = False) -> NDArray[Any]:
    """Opens the array of a ``.npy`` file.

    Args:
        path: The file.
        in_memory: Whether it is read, rather than memory-mapped.

    Returns:
        Numbers or booleans.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such file, cut, or holds something else than numbers.
    """
    with path.open("rb") as file:
        shape, dtype = _header(file, str(path))
        n_bytes = os.fstat(file.fileno()).st_size - file.tell()
    declared = math.prod(shape) * dtype.itemsize
    if declared != n_bytes:
        raise ValueError(
            f"{str(path)!r} declares {declared:,} bytes of numbers and has {n_bytes:,}: it "
            "is cut or damaged"
        )
    array: NDArray[Any] = np.load(
        path, mmap_mode=None if in_memory else "r", allow_pickle=False
    )
    return array


def read_member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], kinds: str
) -> NDArray[Any]:
    """Reads an array of a ``.npz`` file.

    Args:
        archive: The file, open.
        name: The name of the array.
        shape: The shape that it must have.
        kinds: The letters of NumPy for the kinds of numbers that it may have.

    Returns:
        The array.

    Raises:
        KeyError: There is no such array.
        ValueError: It is another one. What :mod:`zipfile` raises for damage may come too.
    """
    member = archive.getinfo(f"{name}.npy")
    if member.file_size > max(_SMALLEST_LIMIT, _LARGEST_RATIO * member.compress_size):
        raise ValueError(
            f"{name} unpacks from {member.compress_size:,} bytes to {member.file_size:,}"
        )
    with archive.open(member) as file:
        found, dtype = _header(file, name)
    if found != shape or dtype.kind not in kinds:
        wanted = "floating-point numbers" if kinds == "f" else "numbers"
        raise ValueError(
            f"expected {name} to be {wanted} of shape {shape}; got {dtype} {found!s:.100}."
        )
    with archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        # The checksum is compared at the end.
        if file.read(1):
            raise ValueError(f"{name} is followed by something else.")
    return array


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and dtype that a file declares."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"the unknown version {version}")
        shape, _, dtype = _HEADERS[version](file)
    except _DAMAGED as error:
        raise ValueError(f"{name!r} is no NumPy file ({error!s:.200})") from error
    if dtype.kind not in "biuf" or any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"{name!r} holds {dtype!s:.100} {shape!s:.100}, which is no array")
    return shape, dtype
