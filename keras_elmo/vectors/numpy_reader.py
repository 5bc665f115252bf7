"""Embeddings in a NumPy file, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import RefusedEmbeddingsError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.embeddings import Embeddings, Floats
from keras_elmo.vectors.numpy_safety import load_npy
from keras_elmo.vectors.row_file import load_offsets, offsets_path, sentences_path


class NumpyReader(Embeddings):
    """A row for each token or sentence, memory-mapped, and beside it where each begins.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._values: Any = load_npy(self.path)
        if self._values.ndim < 2 or self._values.dtype.kind != "f":
            raise ValueError(f"an array {self._values.shape} of {self._values.dtype}")
        self._offsets: NDArray[np.int64] | None = None
        if offsets_path(self.path).is_file():
            self._offsets = load_offsets(self.path, len(self._values))  # (n + 1,)
        elif _has_rows_of_tokens(self.path):
            raise ValueError(f"{offsets_path(path).name!r} is not beside it")
        self._length = len(self._values)
        if self._offsets is not None:
            self._length = len(self._offsets) - 1

    def __len__(self) -> int:
        return self._length

    def _sentences(self) -> list[str] | None:
        path = sentences_path(self.path)
        if not path.is_file():
            return None
        with path.open("rb") as file:
            sentences = [parse_json(line) for line in file]
        if len(sentences) != len(self):
            raise RefusedEmbeddingsError(f"{str(path)!r} is of another file.")
        if not all(isinstance(sentence, str) for sentence in sentences):
            raise RefusedEmbeddingsError(
                f"{str(path)!r} holds something else than strings."
            )
        return sentences

    def _release(self) -> None:
        self._values = None

    def _array(self, index: int) -> Floats:
        array: Floats
        if self._offsets is None:
            array = self._values[index]  # ([n_layers + 1,] D)
            return array
        rows = slice(*self._offsets[index : index + 2])
        array = self._values[rows]  # (n_tokens, [n_layers + 1,] D)
        return np.swapaxes(array, 0, 1) if array.ndim == 3 else array


def _has_rows_of_tokens(path: Path) -> bool:
    """Whether the record beside a file says so, if it is there."""
    record = path.with_name(f"{path.name}.json")
    if not record.is_file():
        return False
    found = parse_json(record.read_bytes())
    of = found.get("fingerprint") if isinstance(found, dict) else None
    return isinstance(of, dict) and of.get("pooled") is False
