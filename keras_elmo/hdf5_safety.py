"""What is refused in HDF5 files that others wrote.

A file is untrusted: HDF5 can point to other files on the reader's machine, and declare
arrays that it does not hold.
"""

from __future__ import annotations

import math

import h5py

# Deflate, the strongest of the built-in filters, cannot do better than 1032 to 1.
_LARGEST_COMPRESSION = 1100
_BUILT_IN_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
}
_CHUNK_OVERHEAD = 1 << 16  # bytes


def dataset_problem(dataset: h5py.Dataset) -> str | None:
    """Why an array should not be read.

    Args:
        dataset: Of which nothing has been read yet.

    Returns:
        What is wrong, as the end of a sentence about it; ``None`` for a plain array of
        floating-point numbers that is stored in the file itself.
    """
    if dataset.is_virtual:
        return "is a virtual dataset"
    if dataset.external:
        return "is stored outside the file"
    if dataset.dtype.kind != "f":
        return f"has dtype {dataset.dtype}, not floating point"
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if not filters <= _BUILT_IN_FILTERS:
        return f"uses the HDF5 filters {sorted(filters)}"
    # HDF5 unpacks whole chunks, however large they are.
    if dataset.chunks and any(
        c > max(n, 1) for c, n in zip(dataset.chunks, dataset.shape, strict=True)
    ):
        return f"has chunks {dataset.chunks} beyond its shape"
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    largest = stored * (_LARGEST_COMPRESSION if filters else 1)
    if stored > 2 * declared + _CHUNK_OVERHEAD or largest < declared:
        return f"declares {declared:,} bytes and stores {stored:,}"
    return None
