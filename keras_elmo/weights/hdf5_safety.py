"""Accepts arrays in HDF5 files that are stored in one piece, or in chunks with gzip.

HDF5 can also point to other files, unpack to any size, and read missing parts as zeros.
"""

from __future__ import annotations

import math
import zlib
from itertools import product
from typing import Any

import h5py

_FLOATS = [
    getattr(h5py.h5t, f"IEEE_F{bits}{order}")
    for bits in (16, 32, 64)
    for order in ("LE", "BE")
]
_SHUFFLE, _DEFLATE = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE
_FILTERS = ((), (_SHUFFLE,), (_DEFLATE,), (_SHUFFLE, _DEFLATE))
_SMALLEST_CHUNK = 2048  # bytes, on average; h5py makes them at least twice as large
_FEW_CHUNKS = 64
_SMALL = 1 << 24  # bytes
_LARGEST_RATIO = 8


def place_problem(dataset: h5py.Dataset) -> str | None:
    """Why an array of any type is not stored in the file; ends a sentence."""
    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    if layout == h5py.h5d.CONTIGUOUS and properties.get_external_count():
        return "is stored outside the file"
    if layout not in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        return "is stored neither in one piece nor in chunks"
    return None


def dataset_problem(dataset: h5py.Dataset) -> str | None:
    """Why an array is not plain numbers, completely in the file; ends a sentence."""
    if dataset.shape is None:
        return "has no elements"
    if problem := place_problem(dataset):
        return problem
    if dataset.id.get_type() not in _FLOATS:
        return f"has dtype {dataset.dtype}, not floating point of 16, 32 or 64 bits"
    if dataset.size == 0:
        return None
    return _chunks_problem(dataset) if dataset.chunks else _piece_problem(dataset)


def declares_too_much(declared: int, file_size: int) -> bool:
    """Whether arrays of ``declared`` bytes cannot be in a file of this size."""
    return declared > max(_SMALL, _LARGEST_RATIO * file_size)


def _piece_problem(dataset: h5py.Dataset) -> str | None:
    start = dataset.id.get_offset()
    stored = 0 if start is None else dataset.file.id.get_filesize() - start
    if stored < dataset.nbytes:
        return f"declares {dataset.nbytes:,} bytes and stores {max(stored, 0):,}"
    return None


def _chunks_problem(dataset: h5py.Dataset) -> str | None:
    properties = dataset.id.get_create_plist()
    filters = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    if filters not in _FILTERS:
        return f"uses the HDF5 filters {list(filters)}"
    sizes = list(zip(dataset.shape, dataset.chunks, strict=True))
    if any(chunk > n for n, chunk in sizes):
        return f"has chunks {dataset.chunks} beyond its shape"
    starts = [range(0, n, chunk) for n, chunk in sizes]
    n_chunks = math.prod(map(len, starts))
    if n_chunks > max(_FEW_CHUNKS, dataset.nbytes // _SMALLEST_CHUNK):
        return f"is cut into {n_chunks:,} chunks"
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    if sorted(chunk.chunk_offset for chunk in chunks) != list(product(*starts)):
        return f"has {n_chunks:,} chunks and stores {len(chunks):,}"
    stored = sum(chunk.size for chunk in chunks)
    if declares_too_much(dataset.nbytes, stored):
        return f"declares {dataset.nbytes:,} bytes and stores {stored:,}"
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    # Deflate adds a thousandth at most; a mask marks a chunk that skips a filter.
    if any(c.filter_mask or c.size > size + size // 1000 + 64 for c in chunks):
        return f"has a chunk that is not one of {size:,} bytes"
    for chunk in chunks:
        _, content = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if _DEFLATE in filters:
            # HDF5 would unpack all of it, even if it is much more than a chunk.
            try:
                content = zlib.decompressobj().decompress(content, size + 1)
            except zlib.error:
                return "has a chunk that cannot be unpacked"
        if len(content) != size:
            return f"has a chunk that does not hold its {size:,} bytes"
    return None
