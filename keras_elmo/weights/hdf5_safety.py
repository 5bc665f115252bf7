"""What is refused in HDF5 files that others wrote.

A file is untrusted: HDF5 can point to other files on the reader's machine, and declare
arrays that it does not hold.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import h5py

# Deflate, the strongest of the built-in filters, cannot do better than 1032 to 1. Numbers
# that were computed hardly compress, so that little of a large array is no array.
_LARGEST_COMPRESSION = 1100
_LARGEST_COMPRESSION_OF_MUCH = 20
_MUCH = 1 << 26  # bytes
_BUILT_IN_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
}
_CHUNK_OVERHEAD = 1 << 16  # bytes


def place_problem(dataset: h5py.Dataset) -> str | None:
    """Why an array of any type should not be read: it is not in the file itself.

    Args:
        dataset: Of which nothing has been read yet.

    Returns:
        What is wrong, as the end of a sentence about it; ``None`` if it is in the file.
    """
    if dataset.is_virtual:
        return "is a virtual dataset"
    if dataset.external:
        return "is stored outside the file"
    return None


def dataset_problem(dataset: h5py.Dataset) -> str | None:
    """Why an array should not be read.

    Args:
        dataset: Of which nothing has been read yet.

    Returns:
        What is wrong, as the end of a sentence about it; ``None`` for a plain array of
        floating-point numbers that is stored in the file itself.
    """
    if dataset.shape is None:
        return "has no elements"
    if problem := place_problem(dataset):
        return problem
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        return f"has dtype {dataset.dtype}, not floating point"
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if not _BUILT_IN_FILTERS.issuperset(filters):
        return f"uses the HDF5 filters {sorted(filters)}"
    # HDF5 unpacks whole chunks, however large they are.
    if dataset.chunks and any(
        c > max(n, 1) for c, n in zip(dataset.chunks, dataset.shape, strict=True)
    ):
        return f"has chunks {dataset.chunks} beyond its shape"
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    ratio = _LARGEST_COMPRESSION if declared <= _MUCH else _LARGEST_COMPRESSION_OF_MUCH
    largest = stored * (ratio if filters else 1)
    if stored > 2 * declared + _CHUNK_OVERHEAD or largest < declared:
        return f"declares {declared:,} bytes and stores {stored:,}"
    if h5py.h5z.FILTER_DEFLATE in filters:
        return _deflate_problem(dataset, filters)
    return None


def _deflate_problem(dataset: h5py.Dataset, filters: list[int]) -> str | None:
    """Why the chunks of an array should not be unpacked.

    HDF5 unpacks all that a chunk stores, however much more it is than the chunk's size.
    """
    place = filters.index(h5py.h5z.FILTER_DEFLATE)
    has_checksum = filters[place + 1 :] == [h5py.h5z.FILTER_FLETCHER32]
    if filters[place + 1 :] and not has_checksum:
        return f"uses the HDF5 filters {filters}"
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    for i in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(i)
        skipped, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if skipped >> place & 1:
            continue
        packed = packed[:-4] if has_checksum else packed
        try:
            unpacked = zlib.decompressobj().decompress(packed, size + 1)
        except zlib.error:
            return "has a chunk that cannot be unpacked"
        if len(unpacked) > size:
            return f"has a chunk that unpacks to more than its {size:,} bytes"
    return None


def declares_too_much(datasets: Iterable[h5py.Dataset], file_size: int) -> str | None:
    """Why arrays should not be read together, each of which could be.

    Args:
        datasets: The arrays.
        file_size: How many bytes their file has.

    Returns:
        What is wrong, as the end of a sentence about the file; ``None`` if nothing is.
    """
    declared = sum((d.size or 0) * d.dtype.itemsize for d in datasets)
    if declared > max(_MUCH, _LARGEST_COMPRESSION_OF_MUCH * file_size):
        return f"declares {declared:,} bytes in all and has {file_size:,}"
    return None
