"""The one store of vectors: rows in a NumPy file that is filled in any order.

It survives being killed at any moment. Other kinds of files are written from it, from
their beginning to their end, when it is full.
"""

from __future__ import annotations

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
    """A kind of file, and how a full store becomes one."""

    name: str
    open: Callable[[Path], Embeddings]
    # Reads what the complete file of a store is of; raises one of DAMAGED for another file.
    fingerprint: Callable[[Store], Fingerprint]
    # Writes a full store to a path, and returns the file that is complete.
    export: Callable[[Store, Path], Path]
    is_copy: bool = True  # whether that is another file than the store itself
    bytes_of_sentence: int = 0  # what one takes in the file besides its numbers


class Store:
    """The vectors of a job on their way to a file.

    Until it is complete there are ``path.part`` with the rows, and ``path.json`` with the
    fingerprint and the number of sentences that are done: the rows are on the disk before
    that number is. Of the complete file ``n_bytes`` is about the size, without sentences,
    and ``n_bytes_needed`` the room that is needed while it is made.
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
        """Whether the file is there; raises an error if it is another one."""
        if not self.path.exists():
            return False
        try:
            found = self.format.fingerprint(self)
        except DAMAGED as error:
            raise FileExistsError(
                f"path: {str(self.path)!r} exists, and is not a {self.format.name} file of "
                f"embeddings written by this library ({error!s:.200}). Name another file, "
                "or delete it."
            ) from error
        self._check(found, self.path)
        if self.format.is_copy:
            self.discard()  # left if a process was killed between the last steps
        return True

    def n_done(self) -> int | None:
        """How many sentences an earlier run has done; ``None`` if it left nothing."""
        record = read_record(self.record)
        if record is None or not self.part.exists():
            return None
        self._check(record["fingerprint"], self.part)
        return int(record["n_done"]) if self.is_of_rows(self.part) else None

    def begin(self) -> int:
        """Makes or resumes the file of rows; returns how many sentences are done."""
        n_done = self.n_done()
        if n_done is None:
            self._check_room()
            if not self.record.exists():  # which would say that the others are ours
                unfinished = [f"{suffix}.part" for suffix in ("", *_OTHERS)]
                files.check_free(self.path, [*unfinished, ".part2", *_OTHERS])
                files.check_free(self.path, [".json.part"], self._recorded(0))
            # Records of what is no longer there must not speak for what comes.
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
        """Opens it for :meth:`write` and :meth:`save_progress`."""
        self._is_lost = False
        self._file: BinaryIO
        with room(self.path), self.part.open("r+b") as self._file:
            yield self

    def write(self, sentence: int, rows: NDArray[Any]) -> None:
        # Not through a memory map, where a full disk ends the process.
        self._file.seek(self._first + int(self.offsets[sentence]) * self._row_bytes)
        self._file.write(rows.astype(self.dtype, copy=False).tobytes())

    def save_progress(self, n_done: int) -> None:
        """Brings what is written to the disk, and then the number of sentences.

        When that has failed once, no number is recorded any more.
        """
        if self._is_lost:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            # A second attempt may succeed, after the system has thrown away what it could
            # not write: it reports that only once.
            self._is_lost = True
            raise
        self._write_record(n_done)

    def arrays(self) -> Iterator[NDArray[Any]]:
        """The rows of each sentence, in their order."""
        with self.part.open("rb") as file:
            file.seek(self._first)
            for n_rows in np.diff(self.offsets).tolist():
                shape = (n_rows, *self.shape[1:])
                yield np.fromfile(file, self.dtype, math.prod(shape)).reshape(shape)

    def complete(self) -> None:
        """Makes the file, which gets its name when it is on the disk."""
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
        """Whether a file has the size and kind of these rows."""
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
                f"is made; its disk has {decimal(free)} left. Name a file on another one, "
                "or choose a smaller output."
            )

    def _check(self, found: Fingerprint, where: Path) -> None:
        if changed := differences(found, self.fingerprint):
            raise ValueError(
                f"path: {str(where)!r} is of something else: these differ: "
                f"{', '.join(changed)}. Use what it was started with, name another file, "
                "or delete it."
            )

    def _write_record(self, n_done: int) -> None:
        files.write_whole(self.record, [self._recorded(n_done)])
        files.sync_directory(self.record.parent)

    def _recorded(self, n_done: int) -> bytes:
        record = {"n_done": n_done, "fingerprint": self.fingerprint}
        return (json.dumps(record, indent=2) + "\n").encode()


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a store; ``None`` if there is none."""
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
            f"path: cannot read {str(path)!r} ({error}). Delete it and the file that it "
            "stands next to, or name another file."
        ) from error
    return record
