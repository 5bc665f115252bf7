"""ELMo weights in HDF5, as bilm-tf writes and AllenNLP reads them.

A file is untrusted: HDF5 can point to other files on the reader's machine and declare
arrays that it does not hold. Links, external storage and virtual datasets are refused,
and every shape is compared with the configuration before an array is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.text.characters import N_CHARACTERS
from keras_elmo.types import Arrays, PathLike
from keras_elmo.weights.hdf5_safety import dataset_problem, declares_too_much
from keras_elmo.weights.names import (
    CHAR_EMBEDDING,
    array_shapes,
    check_finite,
    differences,
    listed,
)

# Far more than any model has.
_MOST_OBJECTS = 10_000
# Names in these files are five parts deep.
_LARGEST_DEPTH = 8


def read_hdf5(
    path: PathLike, config: ElmoConfig, name: str | None = None
) -> dict[str, NDArray[np.float32]]:
    """Reads and checks all arrays of a model.

    Args:
        path: The HDF5 file.
        config: The configuration that it must fit.
        name: What to call the file in messages; its path by default.

    Returns:
        The float32 arrays by the names of :func:`keras_elmo.weights.names.array_shapes`.
        A ``char_embed`` of 262 rows loses its row 0, which no character uses.

    Raises:
        SourceError: The file cannot be read, holds something other than plain arrays of
            floating-point numbers, or does not fit: every missing, unexpected and
            misshapen array is listed.
    """
    file_name = os.fspath(path) if name is None else name
    shapes = array_shapes(config)
    try:
        with h5py.File(path, "r") as file:
            datasets = dict(_datasets(file, file_name))
            _check_names_and_shapes(datasets, shapes, file_name)
            for key, dataset in datasets.items():
                if problem := dataset_problem(dataset):
                    raise _refused(file_name, key, problem)
            size = Path(path).stat().st_size
            if problem := declares_too_much(datasets.values(), size):
                raise _refused(file_name, "/", problem)
            arrays = {key: _read(datasets[key], key) for key in shapes}
    except SourceError:
        raise
    # h5py raises these for damaged files, depending on where the damage lies.
    except (
        OSError,
        RuntimeError,
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
    ) as error:
        raise DamagedSourceError(
            f"Cannot read the HDF5 file {file_name!r} ({error!s:.300}). It is not HDF5, or "
            "cut or damaged: download or copy it again."
        ) from error
    check_finite(arrays, file_name)
    return arrays


def write_hdf5(
    path: PathLike, config: ElmoConfig, arrays: Arrays, dtype: DTypeLike = np.float32
) -> None:
    """Writes the weights of a model for AllenNLP, bilm-tf and this library to read.

    The file appears under its name only when it is complete.

    Args:
        path: The file to write; one that exists is replaced.
        config: The model's configuration.
        arrays: All its arrays, by name.
        dtype: How to store the numbers.

    Raises:
        ValueError: Arrays are missing, unexpected or misshapen.
        OSError: The file cannot be written.
    """
    shapes = array_shapes(config)
    problems = differences({name: a.shape for name, a in arrays.items()}, shapes)
    if problems:
        raise ValueError("The arrays do not fit the configuration:\n" + "\n".join(problems))
    target = Path(path)
    # In the same folder, so that the last step is a rename and not a copy.
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with h5py.File(temporary, "w") as file:
            for key in shapes:
                file[key] = np.asarray(arrays[key], dtype)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _datasets(file: h5py.File, file_name: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets by their full names; anything but groups and plain arrays is refused."""
    waiting = [("", file)]
    n_objects = 0
    while waiting:
        prefix, group = waiting.pop()
        n_objects += len(group)
        if n_objects > _MOST_OBJECTS:
            raise _refused(file_name, prefix or "/", "holds too many objects")
        for key in group:
            name = f"{prefix}/{key}" if prefix else key
            # A group that contains itself would go on for ever.
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


def _check_names_and_shapes(
    datasets: Mapping[str, h5py.Dataset],
    expected: Mapping[str, tuple[int, ...]],
    file_name: str,
) -> None:
    shapes = {name: dataset.shape or () for name, dataset in datasets.items()}
    rows, *columns = expected[CHAR_EMBEDDING]
    if shapes.get(CHAR_EMBEDDING) == (rows + 1, *columns):
        shapes[CHAR_EMBEDDING] = expected[CHAR_EMBEDDING]
    problems = differences(shapes, expected)
    if problems:
        raise SourceError(
            f"The arrays in {file_name!r} do not fit its options:\n"
            + listed(problems)
            + "\nThe file and the options must belong to the same model."
        )


def _read(dataset: h5py.Dataset, name: str) -> NDArray[np.float32]:
    array: NDArray[Any] = dataset[()]
    if name == CHAR_EMBEDDING and len(array) == N_CHARACTERS + 1:
        array = array[1:]
    return np.ascontiguousarray(array, np.float32)


def _refused(file_name: str, name: str, why: str) -> SourceError:
    return SourceError(
        f"Refusing to read {file_name!r}: {name!r:.200} {why}. Only plain floating-point "
        "arrays that are stored in the file itself are read; ask for the file as bilm-tf "
        "wrote it."
    )
