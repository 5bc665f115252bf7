"""The softmax of a language model beside the files of its biLM.

The published formats hold the biLM alone, which is all that embeddings need. To go on
training, or to compute perplexities, the words and their output vectors are needed too:
``vocabulary.txt`` and ``softmax.npz``.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.errors import SourceError
from keras_elmo.pretraining.vocabulary import Vocabulary

VOCABULARY_NAME = "vocabulary.txt"
SOFTMAX_NAME = "softmax.npz"


class SoftmaxWeights(NamedTuple):
    """The output layer of a language model.

    Attributes:
        vocabulary: The words.
        kernel: Their output vectors, (len(vocabulary), projection_dim).
        bias: Their biases, (len(vocabulary),).
    """

    vocabulary: Vocabulary
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]


def save_softmax(
    directory: Path, softmax: SoftmaxWeights, dtype: DTypeLike = np.float32
) -> None:
    """Writes ``vocabulary.txt`` and ``softmax.npz``.

    Args:
        directory: Where to; it must exist.
        softmax: What to write.
        dtype: How to store the numbers.
    """
    softmax.vocabulary.save(directory / VOCABULARY_NAME)
    temporary = directory / f"{SOFTMAX_NAME}.{os.getpid()}.part"
    try:
        with temporary.open("wb") as file:
            np.savez(
                file, kernel=softmax.kernel.astype(dtype), bias=softmax.bias.astype(dtype)
            )
        temporary.replace(directory / SOFTMAX_NAME)
    finally:
        temporary.unlink(missing_ok=True)


def has_softmax(path: Path) -> bool:
    """Whether both files are in the directory of a model, or beside its HDF5 file."""
    folder = _folder(path)
    return (folder / VOCABULARY_NAME).is_file() and (folder / SOFTMAX_NAME).is_file()


def load_softmax(path: Path, features: int) -> SoftmaxWeights:
    """Reads ``vocabulary.txt`` and ``softmax.npz``.

    Args:
        path: The directory of the model, or its HDF5 file.
        features: The model's ``projection_dim``.

    Returns:
        The words, and float32 arrays.

    Raises:
        SourceError: The files are not there, cannot be read or do not fit.
    """
    if not has_softmax(path):
        raise SourceError(
            f"{str(path)!r} has no {VOCABULARY_NAME} and {SOFTMAX_NAME}: it can embed, but "
            "not predict words. Released models come without; continue their training on "
            "your text first (keras-elmo train --init)."
        )
    folder = _folder(path)
    try:
        vocabulary = Vocabulary.load(folder / VOCABULARY_NAME)
        shapes = {"kernel": (len(vocabulary), features), "bias": (len(vocabulary),)}
        with zipfile.ZipFile(folder / SOFTMAX_NAME) as file:
            kernel, bias = (_read(file, name, shape) for name, shape in shapes.items())
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"Cannot read the softmax in {str(path)!r}: {error}") from error
    return SoftmaxWeights(vocabulary, kernel, bias)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _read(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{name} has the unknown version {version}.")
        # Looked at before memory is set aside for what may not be there.
        found, _, dtype = np.lib.format.read_array_header_1_0(file)
    if found != shape or dtype.kind != "f":
        raise ValueError(
            f"expected {name} to be floating-point numbers of shape {shape}, for the "
            f"vocabulary beside it; got {dtype} {found}."
        )
    with archive.open(f"{name}.npy") as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array.astype(np.float32)
