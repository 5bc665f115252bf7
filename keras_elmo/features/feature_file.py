"""A file of features: begun, continued, and named when it is complete."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_elmo.features.fingerprint import Fingerprint, differences

Offsets = NDArray[np.int64]


def offsets_path(path: Path) -> Path:
    """Where the offsets of token-level features are: beside them."""
    return path.with_name(f"{path.name}.offsets.npy")


class FeatureFile:
    """A NumPy file that is filled row by row, in any order of texts.

    Beside ``path`` are, while it is filled, ``path.part`` with the rows and, also later,
    ``path.json`` with the fingerprint and the number of texts that are done. The rows are
    on the disk before that number is.

    Args:
        path: The name of the complete file.
        fingerprint: What the features are of.
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
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.record = path.with_name(f"{path.name}.json")
        self.offsets_file = offsets_path(path) if is_token_level else None
        self.fingerprint = fingerprint
        self.offsets = offsets
        self.shape = (int(offsets[-1]), *row_shape)
        self.dtype = np.dtype(dtype)
        self.row_bytes = int(np.prod(row_shape)) * self.dtype.itemsize
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"path: there is no directory {str(path.parent)!r}. Make it first."
            )

    def is_complete(self) -> bool:
        """Whether the file is there, with these features.

        Raises:
            FileExistsError: There is another file of this name.
            ValueError: It has features of something else.
        """
        if not self.path.exists():
            return False
        record = self._read_record()
        if record is not None:
            self._check_fingerprint(record)
        if record is None or not self._is_ours(self.path):
            raise FileExistsError(
                f"path: {str(self.path)!r} exists, and is no file of features with its "
                f"{self.record.name} beside it. Name another file, or delete it."
            )
        return True

    def begin(self) -> int:
        """Makes the partial file, or goes on with that of an earlier run.

        Returns:
            How many texts are done.

        Raises:
            ValueError: The earlier run was about something else.
            OSError: There is not enough room on the disk.
        """
        record = self._read_record()
        if record is not None and self.part.exists():
            self._check_fingerprint(record)
        size = self.shape[0] * self.row_bytes
        if record is not None and self._is_ours(self.part):
            return int(record["texts_done"])
        free = shutil.disk_usage(self.path.parent).free
        if size > free:
            raise OSError(
                f"path: the features take {size:,} bytes; the disk of {str(self.path)!r} "
                f"has {free:,} left. Name a file on another one, or use dtype='float16', "
                "output_mode='pooled_layers' or a layer with max_tokens."
            )
        # A record of what is no longer there must not speak for what comes.
        self.record.unlink(missing_ok=True)
        np.lib.format.open_memmap(self.part, "w+", self.dtype, self.shape)
        self._write_record(0)
        return 0

    def __enter__(self) -> Self:
        self._file = self.part.open("r+b")
        self._first = self.part.stat().st_size - self.shape[0] * self.row_bytes
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, text: int, rows: NDArray[Any]) -> None:
        """Writes the rows of a text."""
        # Not through the memory map, where a full disk ends the process.
        self._file.seek(self._first + int(self.offsets[text]) * self.row_bytes)
        self._file.write(rows.astype(self.dtype, copy=False).tobytes())

    def save_progress(self, texts_done: int) -> None:
        """Brings what is written to the disk, and then the number of texts."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._write_record(texts_done)

    def complete(self) -> None:
        """Gives the file its name."""
        if self.offsets_file is not None:
            np.save(self.offsets_file, self.offsets)
        self.part.replace(self.path)

    def discard(self) -> None:
        """Removes what is there of an incomplete file."""
        for path in (self.part, self.record):
            path.unlink(missing_ok=True)

    def _is_ours(self, path: Path) -> bool:
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return False
        return found.shape == self.shape and found.dtype == self.dtype

    def _check_fingerprint(self, record: dict[str, Any]) -> None:
        changed = differences(record["fingerprint"], self.fingerprint)
        if changed:
            begun = self.path if self.path.exists() else self.part
            raise ValueError(
                f"path: {str(begun)!r} has features of something else: these differ: "
                f"{', '.join(changed)}. Compute them with what it was begun with, name "
                f"another file, or delete it and {self.record.name}."
            )

    def _read_record(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(
                f"path: cannot read {str(self.record)!r} ({error}). Delete it and what it "
                "stands beside, or name another file."
            ) from error
        return record

    def _write_record(self, texts_done: int) -> None:
        temporary = self.record.with_name(f"{self.record.name}.{os.getpid()}.part")
        record = {"texts_done": texts_done, "fingerprint": self.fingerprint}
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(json.dumps(record, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.record)
        finally:
            temporary.unlink(missing_ok=True)
