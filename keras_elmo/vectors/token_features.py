"""Token-level features of a corpus: as many rows for a text as it has tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_elmo.types import PathLike
from keras_elmo.vectors.batching import Indices
from keras_elmo.vectors.numpy_safety import load_npy
from keras_elmo.vectors.row_file import Offsets, load_offsets, offsets_path

Floats = NDArray[np.floating[Any]]


class TokenFeatures(Sequence[Floats]):
    """The ``"layers"`` of each token of each text, one text after another.

    ``features[i]`` is an array (time, n_layers + 1, D) with a row for each token of text
    ``i``; ``len(features)`` is the number of texts.
    :func:`~keras_elmo.training.feature_dataset` makes padded batches.

    Args:
        values: The rows of all texts, (total_tokens, n_layers + 1, D), which may be
            memory-mapped.
        offsets: Where the rows of each text begin, and where the last ones end, integers
            (n + 1,).

    Attributes:
        values: As the argument.
        offsets: As the argument.
        lengths: The number of tokens of each text, (n,).

    Raises:
        ValueError: The offsets do not divide the values.
    """

    def __init__(self, values: Floats, offsets: Offsets) -> None:
        offsets = np.asarray(offsets)
        is_vector = offsets.ndim == 1 and len(offsets) > 0
        if not is_vector or offsets[0] != 0 or offsets[-1] != len(values):
            raise ValueError(
                f"offsets must lead from 0 to the {len(values)} rows of values, in one "
                f"dimension; got {offsets!r:.100}."
            )
        self.values = values
        self.offsets = offsets
        self.lengths: NDArray[np.int64] = np.diff(offsets)
        if np.any(self.lengths < 0):
            raise ValueError("offsets must not descend.")

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Opens what :func:`~keras_elmo.compute_features` has written, memory-mapped.

        Args:
            path: The path that was given to it.

        Returns:
            The features.

        Raises:
            FileNotFoundError: There is no such file, or no offsets beside it.
            ValueError: They are something else, or damaged.
        """
        file = Path(path)
        for name in (file, offsets_path(file)):
            if not name.is_file():
                raise FileNotFoundError(
                    f"path: there is no file {str(name)!r}. Token-level features are a "
                    "file and its offsets, as keras_elmo.compute_features writes them."
                )
        try:
            values = load_npy(file)  # (total_tokens, n_layers + 1, D)
            if values.ndim != 3 or values.dtype.kind != "f":
                raise ValueError(f"{values.dtype} {values.shape}")
            return cls(values, load_offsets(file, len(values)))
        except (OSError, ValueError) as error:
            raise ValueError(
                f"path: {str(file)!r} or the offsets beside it are no token-level "
                f"features, or damaged ({error}). Compute them again."
            ) from error

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Any) -> Any:
        """The rows of a text, (time, n_layers + 1, D).

        Raises:
            TypeError: ``index`` is no integer.
            IndexError: There is no such text.
        """
        if not isinstance(index, (int, np.integer)):
            raise TypeError(f"index must be an integer; got {index!r:.100}.")
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range: there are {len(self)} texts.")
        i = int(index) % len(self)
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def padded(self, rows: Indices) -> Floats:
        """The features of some texts in one array, zeros behind the shorter ones.

        Args:
            rows: The indices of the texts, (batch,).

        Returns:
            An array (batch, time, n_layers + 1, D) of its own, where time is the length
            of the longest, and at least 1.
        """
        texts = [self[i] for i in rows]
        time = max([1, *map(len, texts)])
        shape = (len(texts), time, *self.values.shape[1:])
        result = np.zeros(shape, self.values.dtype)  # (batch, time, n_layers + 1, D)
        for target, text in zip(result, texts, strict=True):
            target[: len(text)] = text
        return result
