"""The softmax of a language model: in files next to its biLM, or in its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.errors import SourceError
from keras_elmo.hub.bilm_checkpoint import find_checkpoint, read_softmax
from keras_elmo.pretraining.npz import load_npz, save_npz
from keras_elmo.pretraining.vocabulary import Vocabulary
from keras_elmo.types import PathLike
from keras_elmo.weights.hdf5 import read_arrays
from keras_elmo.weights.names import (
    SOFTMAX_FILE_SUFFIX,
    SOFTMAX_PREFIX,
    check_finite,
    matching_softmax_name,
)
from keras_elmo.weights.word_list import WORDS_NAME, word_lists

VOCABULARY_NAME = WORDS_NAME  # a model of words reads the words that it predicts
SOFTMAX_NAME = "softmax.npz"

_HDF5_NAMES = {"kernel": SOFTMAX_PREFIX + "W", "bias": SOFTMAX_PREFIX + "b"}


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
    """Whether there are a softmax and its words, where :func:`load_softmax` looks."""
    return all(_files(path))


def softmax_to_train(
    path: Path, features: int, vocabulary: PathLike | None
) -> SoftmaxWeights | None:
    """The softmax of a model that is trained further, if it has one.

    Its words are those next to it, otherwise those of ``vocabulary``.
    """
    softmax, words = _files(path)
    if softmax is None:
        return None
    return load_softmax(path, features, vocabulary if words is None else None)


def load_softmax(
    path: Path,
    features: int,
    vocabulary: PathLike | None = None,
    is_trainable: bool = True,
) -> SoftmaxWeights:
    """Reads the softmax from a model's directory, or next to its file.

    It is ``softmax.npz`` with ``vocabulary.txt``; or, as in AllenNLP and bilm-tf,
    ``softmax/W`` and ``softmax/b`` in HDF5 or a checkpoint, with the only vocabulary that
    ``word_lists`` finds. A file named after another model is not this model's.
    ``vocabulary`` names another file of its words. ``is_trainable``: whether a model
    without a softmax could get one by training.
    """
    softmax, words = _files(path)
    if softmax is None:
        raise SourceError(
            f"{str(path)!r} has no softmax. It can embed words but not predict them. If "
            "its softmax was published, put *_softmax_weights.hdf5 and vocab*.txt next to "
            "it"
            + (
                ". Otherwise train one on your text: keras-elmo train --init."
                if is_trainable
                else "; ELMoForManyLangs published none."
            )
        )
    if vocabulary is not None:
        words = Path(vocabulary)
    if words is None:
        raise SourceError(
            f"{str(path)!r} has no vocabulary: expected one vocab*.txt, the words that its "
            "softmax predicts. Put the one that it was trained with there, or name it."
        )
    try:
        known = Vocabulary.load(words)
        n = len(known)
        shapes = {"kernel": (n, features), "bias": (n,)}
        if softmax.name == SOFTMAX_NAME:
            arrays = load_npz(softmax, shapes, "f")
            arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
            check_finite(arrays, str(softmax))
        elif softmax == find_checkpoint(softmax):
            arrays = read_softmax(softmax, features)._asdict()
            if len(arrays["bias"]) != n:
                raise ValueError(f"it predicts {len(arrays['bias'])} words, not {n}.")
        else:
            stored = {_HDF5_NAMES[name]: shape for name, shape in shapes.items()}
            read = read_arrays(softmax, stored)
            arrays = {name: read[_HDF5_NAMES[name]] for name in shapes}
    except (OSError, ValueError) as error:
        raise SourceError(
            f"Cannot read the softmax in {str(path)!r}, for the words in {str(words)!r}: "
            f"{error}"
        ) from error
    return SoftmaxWeights(known, **arrays)


def _files(path: Path) -> tuple[Path | None, Path | None]:
    """The files of the softmax and of its words, each if it is there."""
    folder = path if path.is_dir() else path.parent
    lists = word_lists(folder)
    words = lists[0] if len(lists) == 1 else None
    softmax = folder / SOFTMAX_NAME
    if softmax.is_file():
        return softmax, words
    own = sorted(folder.glob("*.hdf5")) if path.is_dir() else [path]
    others = sorted(folder.glob("*" + SOFTMAX_FILE_SUFFIX))
    models = [each for each in sorted(folder.glob("*.hdf5")) if each not in others]
    model = models[0] if path.is_dir() and len(models) == 1 else path
    mine = folder / matching_softmax_name(model.name)
    if mine in others:
        others = [mine]
    theirs = {matching_softmax_name(each.name) for each in models} - {mine.name}
    others = [each for each in others if each.name not in theirs]
    if len(others) > 1:
        raise SourceError(
            f"{str(folder)!r} has several *{SOFTMAX_FILE_SUFFIX}, and none is named "
            f"{mine.name!r}. Name the softmax after its model, or keep one model in a "
            "directory."
        )
    found = next(filter(_holds_softmax, [*others, *own]), None)
    return found or find_checkpoint(path), words


def _holds_softmax(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return SOFTMAX_PREFIX.rstrip("/") in file
    except OSError:  # not HDF5
        return False
