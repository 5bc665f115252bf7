"""The softmax of a language model: two files next to its biLM, or in its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.errors import SourceError
from keras_elmo.hub.bilm_checkpoint import find_checkpoint, read_softmax
from keras_elmo.pretraining.npz import load_npz, save_npz
from keras_elmo.pretraining.vocabulary import Vocabulary
from keras_elmo.types import PathLike
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
    """Whether a model's directory, or that of its file, has a softmax and its words."""
    folder = _folder(path)
    if (folder / SOFTMAX_NAME).is_file():
        return (folder / VOCABULARY_NAME).is_file()
    return find_checkpoint(path) is not None and _find_vocabulary(folder) is not None


def load_softmax(
    path: Path, features: int, vocabulary: PathLike | None = None
) -> SoftmaxWeights:
    """Reads a softmax from a model's directory, or from that of its file.

    ``vocabulary`` is the file of its words, by default the one in the directory.
    """
    folder, index = _folder(path), find_checkpoint(path)
    file = _find_vocabulary(folder) if vocabulary is None else Path(vocabulary)
    if (folder / SOFTMAX_NAME).is_file():
        index = None
    elif index is None:
        raise SourceError(
            f"{str(path)!r} has no {VOCABULARY_NAME} and {SOFTMAX_NAME}: it can embed, but "
            "not predict words. Released models come without; continue their training on "
            "your text first (keras-elmo train --init)."
        )
    if file is None:
        raise SourceError(
            f"{str(path)!r} has no file of the words that it predicts. Name the vocabulary "
            f"that it was trained with, or put it there as {VOCABULARY_NAME}."
        )
    try:
        words = Vocabulary.load(file)
        n = len(words)
        if index is not None:
            softmax = read_softmax(index, features)
            if len(softmax.bias) != n:
                raise ValueError(f"it predicts {len(softmax.bias)} words, not {n}.")
            return SoftmaxWeights(words, *softmax)
        shapes = {"kernel": (n, features), "bias": (n,)}
        arrays = load_npz(folder / SOFTMAX_NAME, shapes, "f")
    except (OSError, ValueError) as error:
        raise SourceError(
            f"Cannot read the softmax in {str(path)!r}, for the words in {str(file)!r}: "
            f"{error}"
        ) from error
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    check_finite(arrays, str(folder / SOFTMAX_NAME))
    return SoftmaxWeights(words, **arrays)


def _find_vocabulary(folder: Path) -> Path | None:
    """The file of words in a directory: ours, or the only one that is named like one."""
    if (folder / VOCABULARY_NAME).is_file():
        return folder / VOCABULARY_NAME
    others = list(folder.glob("*vocab*.txt"))
    return others[0] if len(others) == 1 else None


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent
