"""ELMo weights in HDF5, in the format of bilm-tf and AllenNLP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.types import Arrays, PathLike
from keras_elmo.weights.atomic import replacing, reserve
from keras_elmo.weights.hdf5_safety import dataset_problem, declares_too_much
from keras_elmo.weights.names import (
    CHAR_EMBEDDING,
    SOFTMAX_PREFIX,
    check_finite,
    differences,
    listed,
)

_MOST_OBJECTS = 10_000  # far more than any model has
_HDF5_STEP = 1 << 19  # bytes reserved for the names and positions of arrays
_LARGEST_DEPTH = 6  # RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0

# What h5py raises for damaged files, depending on where they are damaged.
_DAMAGED = (OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError)


def read_hdf5(
    path: PathLike, config: ElmoConfig, name: str | None = None
) -> dict[str, NDArray[np.float32]]:
    """Reads all arrays of a biLM as float32, or lists everything that does not fit it.

    Of a file with a softmax as well, the softmax is left out.
    """
    return read_arrays(path, config.array_shapes(), name)


def read_arrays(
    path: PathLike, expected: Mapping[str, tuple[int, ...]], name: str | None = None
) -> dict[str, NDArray[np.float32]]:
    """Reads the arrays of a biLM or of a softmax as float32, all with these shapes."""
    file_name = os.fspath(path) if name is None else name
    try:
        with h5py.File(path, "r") as file:
            arrays = _read(file, expected, file_name)
    except SourceError:
        raise
    except _DAMAGED as error:
        raise DamagedSourceError(
            f"Cannot read the HDF5 file {file_name!r} ({error!s:.300}). It is not HDF5, or "
            "it is cut or damaged: download or copy it again."
        ) from error
    check_finite(arrays, file_name)
    return arrays


def write_hdf5(
    path: PathLike, config: ElmoConfig, arrays: Arrays, dtype: DTypeLike = np.float32
) -> None:
    """Writes a model's weights."""
    shapes = config.array_shapes()
    problems = differences({name: a.shape for name, a in arrays.items()}, shapes)
    if problems:
        raise ValueError("The arrays do not fit the configuration:\n" + "\n".join(problems))
    with replacing(path) as written:
        file = h5py.File(written, "w")
        with filling(file) as take_room:
            for key in shapes:
                take_room(8 * arrays[key].size)
                file[key] = np.asarray(arrays[key], dtype)


@contextmanager
def filling(file: h5py.File) -> Iterator[Callable[[int], None]]:
    """Yields a function that reserves disk space.

    HDF5 itself may end the process when the disk is full.
    """
    reserved = 0

    def take_room(n_bytes: int) -> None:
        nonlocal reserved
        needed = file.id.get_filesize() + n_bytes + _HDF5_STEP
        if reserved < needed:
            reserved = needed + _HDF5_STEP
            reserve(path, reserved)

    with file:
        path = file.filename
        yield take_room
        file.flush()
        n_bytes = file.id.get_filesize()
    os.truncate(path, n_bytes)


def _read(
    file: h5py.File, expected: Mapping[str, tuple[int, ...]], file_name: str
) -> dict[str, NDArray[np.float32]]:
    of_softmax = any(name.startswith(SOFTMAX_PREFIX) for name in expected)
    datasets = {
        name: dataset
        for name, dataset in _datasets(file, file_name)
        if name.startswith(SOFTMAX_PREFIX) == of_softmax
    }
    shapes = {name: dataset.shape or () for name, dataset in datasets.items()}
    rows, *columns = expected.get(CHAR_EMBEDDING, (0,))  # not in a model of words
    if shapes.get(CHAR_EMBEDDING) == (rows + 1, *columns):
        shapes[CHAR_EMBEDDING] = expected[CHAR_EMBEDDING]
    if problems := differences(shapes, expected):
        raise SourceError(
            f"The arrays in {file_name!r} do not fit its options:\n"
            + listed(problems)
            + "\nThe file and the options must belong to the same model."
        )
    for name, dataset in datasets.items():
        if problem := dataset_problem(dataset):
            raise _refused(file_name, name, problem)
    declared = sum(dataset.nbytes for dataset in datasets.values())
    if declares_too_much(declared, file.id.get_filesize()):
        raise _refused(file_name, "/", f"declares {declared:,} bytes in all")
    return {name: _array(datasets[name], name, expected[name]) for name in expected}


def _datasets(file: h5py.File, file_name: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets with their full names; anything but groups and datasets is refused."""
    waiting = [("", file)]
    n_objects = 0
    while waiting:
        prefix, group = waiting.pop()
        n_objects += len(group)
        if n_objects > _MOST_OBJECTS:
            raise _refused(file_name, prefix or "/", "holds too many objects")
        for key in group:
            name = f"{prefix}/{key}" if prefix else key
            # A group that contains itself would never end.
            if name.count("/") >= _LARGEST_DEPTH:
                raise _refused(file_name, name, "is nested too deeply")
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _refused(file_name, name, f"is a link ({type(link).__name__})")
            item = group[key]
            if isinstance(item, h5py.Group):
                waiting.append((name, item))
            elif isinstance(item, h5py.Dataset):
                yield name, item
            else:
                raise _refused(file_name, name, f"is a {type(item).__name__}")


def _array(dataset: h5py.Dataset, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array: NDArray[Any] = dataset[()]
    if name == CHAR_EMBEDDING and len(array) == shape[0] + 1:
        array = array[1:]  # no character uses row 0
    return np.ascontiguousarray(array, np.float32)


def _refused(file_name: str, name: str, why: str) -> SourceError:
    return SourceError(
        f"Refusing to read {file_name!r}: {name!r:.200} {why}. Only floating-point arrays "
        "that are stored completely in the file are read. Use the file as bilm-tf wrote it."
    )
