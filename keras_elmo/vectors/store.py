"""The store of vectors: rows in a NumPy file that is filled in any order.

The process can be killed at any moment. Other formats are written from the full store, from
start to end.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from rich.filesize import decimal

from keras_elmo.errors import DiskFullError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors import files
from keras_elmo.vectors.corpus import Corpus
from keras_elmo.vectors.embeddings import DAMAGED, Embeddings
from keras_elmo.vectors.files import next_to, room
from keras_elmo.vectors.fingerprint import Fingerprint, differences
from keras_elmo.vectors.options import Options
from keras_elmo.weights.atomic import reserve
from keras_elmo.weights.numpy_files import map_npy

_OTHERS = (".offsets.npy", ".sentences.jsonl")  # of NumPy files


class Format(NamedTuple):
    """A file format, and how to write it from a full store."""

    name: str
    open: Callable[[Path], Embeddings]
    # Reads the fingerprint of a store's complete file; raises one of DAMAGED for others.
    fingerprint: Callable[[Store], Fingerprint]
    # Writes a full store to a path, and returns the complete file.
    export: Callable[[Store, Path], Path]
    is_copy: bool = True  # whether the file is another one than the store itself
    bytes_of_sentence: int = 0  # in the file, without its numbers


class Store:
    """The vectors of a job while its file is incomplete.

    ``path.part`` has the rows, ``path.json`` the fingerprint and the number of finished
    sentences, which is written after their rows are on the disk. ``n_bytes`` is about the
    size of the complete file without sentences, and ``n_bytes_needed`` the space needed to
    write it.
    """

    def __init__(
        self,
        path: Path,
        kind: Format,
        corpus: Corpus,
        options: Options,
        row_shape: tuple[int, ...],
        fingerprint: Fingerprint,
    ) -> None:
        self.path = path
        self.part, self.record = next_to(path, ".part"), next_to(path, ".json")
        self.format, self.corpus, self.options = kind, corpus, options
        self.fingerprint = fingerprint
        n_tokens = corpus.n_tokens
        n_rows = np.ones_like(n_tokens) if options.pooled else n_tokens  # (n,)
        self.offsets = np.concatenate([[0], np.cumsum(n_rows, dtype=np.int64)])  # (n + 1,)
        self.shape = (int(self.offsets[-1]), *row_shape)
        self.dtype = np.dtype(options.dtype).newbyteorder("<")
        self._row_bytes = math.prod(row_shape) * self.dtype.itemsize
        n_bytes = self.shape[0] * self._row_bytes
        self.n_bytes = n_bytes + len(n_tokens) * kind.bytes_of_sentence
        self.n_bytes_needed = self.n_bytes + n_bytes * kind.is_copy

    def is_complete(self) -> bool:
        """Whether the complete file exists; raises an error if it is another file."""
        if not self.path.exists():
            return False
        try:
            found = self.format.fingerprint(self)
        except DAMAGED as error:
            raise FileExistsError(
                f"path: {str(self.path)!r} exists and is not a {self.format.name} file of "
                f"embeddings from this library ({error!s:.200}). Choose another path, or "
                "delete it."
            ) from error
        self._check(found, self.path)
        return True

    def clean_up(self) -> None:
        """Removes what a process leaves that was killed between the last steps."""
        with contextlib.suppress(ValueError):  # others' files, which may have such names
            record = read_record(self.record)
            if self.format.is_copy and record and record["fingerprint"] == self.fingerprint:
                self.discard()

    def n_done(self) -> int | None:
        """The number of sentences that an earlier run finished; ``None`` without one."""
        record = read_record(self.record)
        if record is None or not self.part.exists():
            return None
        self._check(record["fingerprint"], self.part)
        return int(record["n_done"]) if self.is_of_rows(self.part) else None

    def begin(self) -> int:
        """Creates or resumes the file of rows; returns the number of finished sentences."""
        n_done = self.n_done()
        if n_done is None:
            self._check_room()
            if not self.record.exists():  # it would show that the others are ours
                unfinished = [f"{suffix}.part" for suffix in ("", *_OTHERS)]
                files.check_free(self.path, [*unfinished, ".part2", *_OTHERS])
                files.check_free(self.path, [".json.part"], self._recorded(0))
            # Old records must not describe the new file.
            for suffix in (".json", *_OTHERS):
                next_to(self.path, suffix).unlink(missing_ok=True)
            files.sync_directory(self.path.parent)
            try:
                with room(self.path):
                    self._write_record(0)
                    np.lib.format.open_memmap(self.part, "w+", self.dtype, self.shape)
                    reserve(self.part, self.part.stat().st_size)
            except BaseException:
                self.discard()
                raise
            n_done = 0
        self._first = self.part.stat().st_size - self.shape[0] * self._row_bytes
        return n_done

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Opens the store for :meth:`write` and :meth:`save_progress`."""
        self._is_lost = False
        self._file: BinaryIO
        with room(self.path), self.part.open("r+b") as self._file:
            yield self

    def write(self, sentence: int, rows: NDArray[Any]) -> None:
        # Not through a memory map: there a full disk kills the process.
        self._file.seek(self._first + int(self.offsets[sentence]) * self._row_bytes)
        self._file.write(rows.astype(self.dtype, copy=False).tobytes())

    def save_progress(self, n_done: int) -> None:
        """Flushes the rows to the disk, then records the number of sentences.

        After a failure, nothing is recorded any more.
        """
        if self._is_lost:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            # The system reports lost data only once: a second attempt could succeed.
            self._is_lost = True
            raise
        self._write_record(n_done)

    def arrays(self) -> Iterator[NDArray[Any]]:
        """The rows of each sentence, in order."""
        with self.part.open("rb") as file:
            file.seek(self._first)
            for n_rows in np.diff(self.offsets).tolist():
                shape = (n_rows, *self.shape[1:])
                yield np.fromfile(file, self.dtype, math.prod(shape)).reshape(shape)

    def complete(self) -> None:
        """Writes the file, which gets its name when it is on the disk."""
        temporary = next_to(self.path, ".part2")
        with room(self.path):
            try:
                content = self.format.export(self, temporary)
                with content.open("r+b") as file:
                    os.fsync(file.fileno())
                content.replace(self.path)
                files.sync_directory(self.path.parent)
            finally:
                temporary.unlink(missing_ok=True)
        if self.format.is_copy:
            self.discard()

    def discard(self) -> None:
        for path in (self.part, self.record):
            path.unlink(missing_ok=True)

    def is_of_rows(self, path: Path) -> bool:
        """Whether a file has the shape and dtype of these rows."""
        try:
            found = map_npy(path)
        except (OSError, ValueError):
            return False
        return found.shape == self.shape and found.dtype == self.dtype

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if self.n_bytes_needed > free:
            raise DiskFullError(
                f"path: {str(self.path)!r} needs {decimal(self.n_bytes_needed)} while it "
                f"is written; its disk has {decimal(free)} left. Choose a path on another "
                "disk, or a smaller output."
            )

    def _check(self, found: Fingerprint, where: Path) -> None:
        if changed := differences(found, self.fingerprint):
            raise ValueError(
                f"path: {str(where)!r} belongs to another job; these differ: "
                f"{', '.join(changed)}. Use the same ones, choose another path, or delete "
                "it."
            )

    def _write_record(self, n_done: int) -> None:
        files.write_whole(self.record, [self._recorded(n_done)])
        files.sync_directory(self.record.parent)

    def _recorded(self, n_done: int) -> bytes:
        record = {"n_done": n_done, "fingerprint": self.fingerprint}
        return (json.dumps(record, indent=2) + "\n").encode()


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a store, or ``None``."""
    try:
        record = parse_json(path.read_bytes())
        if (
            not isinstance(record, dict)
            or not isinstance(record.get("fingerprint"), dict)
            or type(record.get("n_done")) is not int
            or record["n_done"] < 0
        ):
            raise ValueError("expected an object with n_done and fingerprint")
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(
            f"path: cannot read {str(path)!r} ({error}). Delete it and the file next to "
            "it, or choose another path."
        ) from error
    return record
