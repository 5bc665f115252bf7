"""The softmax of a language model beside the files of its biLM.

The published formats hold the biLM alone, which is all that embeddings need. To go on
training, or to compute perplexities, the words and their output vectors are needed too:
``vocabulary.txt`` and ``softmax.npz``.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.errors import SourceError
from keras_elmo.pretraining.vocabulary import Vocabulary
from keras_elmo.weights.archive import DAMAGED
from keras_elmo.weights.names import check_finite
from keras_elmo.weights.numpy_files import read_member

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
            kernel, bias = (
                read_member(file, name, shape, "f").astype(np.float32)
                for name, shape in shapes.items()
            )
    except (*DAMAGED, LookupError) as error:
        raise SourceError(
            f"Cannot read the softmax in {str(path)!r}: {error!s:.500}"
        ) from error
    check_finite({"kernel": kernel, "bias": bias}, str(folder / SOFTMAX_NAME))
    return SoftmaxWeights(vocabulary, kernel, bias)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent
