"""A NumPy file of vectors, a row for each token or text, filled in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.vectors.fingerprint import Fingerprint
from keras_elmo.vectors.numpy_safety import load_npy
from keras_elmo.vectors.partial_file import PartialFile, write_beside

Offsets = NDArray[np.int64]


def offsets_path(path: Path) -> Path:
    """Where the offsets of token-level vectors are: beside them."""
    return path.with_name(f"{path.name}.offsets.npy")


def sentences_path(path: Path) -> Path:
    """Where the sentences are, if they are kept: beside it too."""
    return path.with_name(f"{path.name}.sentences.jsonl")


def load_offsets(path: Path, n_rows: int) -> Offsets:
    """Reads the offsets of token-level vectors.

    Args:
        path: The file of the vectors.
        n_rows: How many rows it has.

    Returns:
        Where the rows of each text begin, and where the last ones end, (n + 1,).

    Raises:
        OSError: They cannot be read.
        ValueError: They are damaged, or of another file.
    """
    offsets = load_npy(offsets_path(path), in_memory=True)
    if (
        offsets.ndim != 1
        or offsets.dtype.kind not in "iu"
        or len(offsets) == 0
        or (offsets[0], offsets[-1]) != (0, n_rows)
        or np.any(offsets[1:] < offsets[:-1])
    ):
        raise ValueError(f"{str(path)!r}: its offsets are of another file, or damaged")
    return offsets.astype(np.int64)


class RowFile(PartialFile):
    """A NumPy file that is filled row by row, in any order of texts.

    Args:
        path: The name of the complete file.
        fingerprint: What the vectors are of.
        offsets: Where the rows of each text begin, and where the last ones end, (n + 1,).
        is_token_level: Whether the offsets are kept beside the rows.
        row_shape: The shape of a row.
        dtype: The dtype of a row.

    Raises:
        FileNotFoundError: The directory of ``path`` does not exist.
    """

    def __init__(
        self,
        path: Path,
        fingerprint: Fingerprint,
        offsets: Offsets,
        is_token_level: bool,
        row_shape: tuple[int, ...],
        dtype: str,
    ) -> None:
        super().__init__(path, fingerprint)
        self.offsets_file = offsets_path(path) if is_token_level else None
        self.offsets = offsets
        self.shape = (int(offsets[-1]), *row_shape)
        self.dtype = np.dtype(dtype)
        self.row_bytes = int(np.prod(row_shape)) * self.dtype.itemsize
        self.n_bytes = self.shape[0] * self.row_bytes
        self.n_bytes_needed = self.n_bytes

    def is_complete(self) -> bool:
        """Whether the file is there, with these vectors.

        Raises:
            FileExistsError: There is another file of this name.
            ValueError: It has vectors of something else.
        """
        if not self.path.exists():
            return False
        record = self.read_record()
        if record is not None:
            self.check_fingerprint(record["fingerprint"], self.path)
        if record is None or not self._is_ours(self.path):
            raise FileExistsError(
                f"path: {str(self.path)!r} exists, and is no file of this library with its "
                f"{self.record.name} beside it. Name another file, or delete it."
            )
        return True

    def begin(self) -> int:
        """Makes the partial file, or goes on with that of an earlier run.

        Returns:
            How many texts are done.

        Raises:
            ValueError: The earlier run was about something else.
            DiskFullError: There is not enough room on the disk.
        """
        n_done = self.resume()
        if n_done is None or not self._is_ours(self.part):
            for beside in (offsets_path(self.path), sentences_path(self.path)):
                beside.unlink(missing_ok=True)  # of a file that is no longer there
            self.start(self.n_bytes_needed, self._make)
            n_done = 0
        self._first = self.part.stat().st_size - self.n_bytes
        return n_done

    def write_rows(self, text: int, rows: NDArray[Any]) -> None:
        """Writes the rows of a text."""
        offset = self._first + int(self.offsets[text]) * self.row_bytes
        self.write(offset, rows.astype(self.dtype, copy=False).tobytes())

    def write_layers(self, text: int, layers: NDArray[Any]) -> None:
        """Writes the vectors (n_layers + 1, n_tokens, D) of a text, token by token."""
        self.write_rows(text, np.swapaxes(layers, 0, 1))  # (n_tokens, n_layers + 1, D)

    def complete(self) -> None:
        """Gives the file its name."""
        if self.offsets_file is not None:
            write_beside(self.offsets_file, lambda file: np.save(file, self.offsets))
        super().complete()

    def _make(self, path: Path) -> None:
        np.lib.format.open_memmap(path, "w+", self.dtype, self.shape)

    def _is_ours(self, path: Path) -> bool:
        try:
            found = load_npy(path)
        except (OSError, ValueError):
            return False
        return found.shape == self.shape and found.dtype == self.dtype
