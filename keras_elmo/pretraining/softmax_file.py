"""The softmax of a language model, in two files next to those of the biLM."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.errors import SourceError
from keras_elmo.pretraining.npz import load_npz, save_npz
from keras_elmo.pretraining.vocabulary import Vocabulary
from keras_elmo.weights.names import check_finite

VOCABULARY_NAME = "vocabulary.txt"
SOFTMAX_NAME = "softmax.npz"


class SoftmaxWeights(NamedTuple):
    """The output layer of a language model."""

    vocabulary: Vocabulary
    kernel: NDArray[np.float32]  # (len(vocabulary), projection_dim)
    bias: NDArray[np.float32]  # (len(vocabulary),)


def save_softmax(
    directory: Path, softmax: SoftmaxWeights, dtype: DTypeLike = np.float32
) -> None:
    vocabulary, kernel, bias = softmax
    vocabulary.save(directory / VOCABULARY_NAME)
    arrays = {"kernel": kernel.astype(dtype), "bias": bias.astype(dtype)}
    save_npz(directory / SOFTMAX_NAME, arrays)


def has_softmax(path: Path) -> bool:
    """Whether both files are in a model's directory, or next to its HDF5 file."""
    return all((_folder(path) / name).is_file() for name in (VOCABULARY_NAME, SOFTMAX_NAME))


def load_softmax(path: Path, features: int) -> SoftmaxWeights:
    """Reads both files from a model's directory, or next to its HDF5 file."""
    if not has_softmax(path):
        raise SourceError(
            f"{str(path)!r} has no {VOCABULARY_NAME} and {SOFTMAX_NAME}: it can embed "
            "words but not predict them, like the released models. First train it further "
            "on your text (keras-elmo train --init)."
        )
    folder = _folder(path)
    try:
        vocabulary = Vocabulary.load(folder / VOCABULARY_NAME)
        n = len(vocabulary)
        shapes = {"kernel": (n, features), "bias": (n,)}
        arrays = load_npz(folder / SOFTMAX_NAME, shapes, "f")
    except (OSError, ValueError) as error:
        raise SourceError(f"Cannot read the softmax in {str(path)!r}: {error}") from error
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    check_finite(arrays, str(folder / SOFTMAX_NAME))
    return SoftmaxWeights(vocabulary, **arrays)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent
