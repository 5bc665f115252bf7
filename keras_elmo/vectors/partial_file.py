"""A file that takes long to fill: begun, continued, and named when it is complete."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import filelock

from keras_elmo.errors import DiskFullError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.fingerprint import Fingerprint, differences
from keras_elmo.vectors.names import check_directory, check_name

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes from the same file.

    Args:
        path: The file. While it is locked there is another with ``.lock`` behind its name.

    Raises:
        BlockingIOError: One is working on it.
    """
    lock = filelock.FileLock(path.with_name(f"{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise BlockingIOError(
            f"path: another process is working on {str(path)!r}. Wait for it, or name "
            "another file."
        ) from error
    try:
        yield
    finally:
        try:
            # While it is ours; a process that has opened it already notices. Where open
            # files cannot be removed, it stays.
            with suppress(OSError):
                Path(lock.lock_file).unlink()
        finally:
            lock.release()


@contextmanager
def room(path: Path) -> Iterator[None]:
    """Says of a full disk what to do.

    Args:
        path: The file that is written.

    Raises:
        DiskFullError: The disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise DiskFullError(
            f"path: the disk of {str(path)!r} is full. Make room, and do the same again: "
            "it goes on where it was."
        ) from error


def write_beside(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a small file, which appears under its name when it is complete.

    Args:
        path: Its name.
        write: Called with the file, open for bytes.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class PartialFile:
    """A file of known size that is filled in any order, and survives being killed.

    Beside ``path`` are, while it is filled, ``path.part`` with the content and
    ``path.json`` with the fingerprint and the number of items that are done. The content is
    on the disk before that number is.

    Args:
        path: The name of the complete file.
        fingerprint: What the file is of: a file that was begun for something else is not
            continued.

    Raises:
        FileNotFoundError: The directory of ``path`` does not exist.
        ValueError: Its name is too long.
    """

    def __init__(self, path: Path, fingerprint: Fingerprint) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.record = path.with_name(f"{path.name}.json")
        self.fingerprint = fingerprint
        check_directory(path)
        check_name(path)

    def check_fingerprint(self, found: Fingerprint, where: Path) -> None:
        """Checks that a file is of the same as this one.

        Args:
            found: Its fingerprint.
            where: Its path.

        Raises:
            ValueError: It is of something else.
        """
        changed = differences(found, self.fingerprint)
        if changed:
            raise ValueError(
                f"path: {str(where)!r} is of something else: these differ: "
                f"{', '.join(changed)}. Go on with what it was begun with, name another "
                "file, or delete it."
            )

    def resume(self) -> int | None:
        """How many items an earlier run has done; ``None`` if there is nothing of it.

        Raises:
            ValueError: It was about something else, or its record cannot be read.
        """
        record = self.read_record()
        if record is None or not self.part.exists():
            return None
        self.check_fingerprint(record["fingerprint"], self.part)
        return int(record["n_done"])

    def start(self, n_bytes: int, make: Callable[[Path], None]) -> None:
        """Makes the partial file.

        Args:
            n_bytes: About how much room is needed.
            make: Called with a path, where it makes the file in its full size.

        Raises:
            DiskFullError: There is not enough room on the disk.
        """
        free = shutil.disk_usage(self.path.parent).free
        if n_bytes > free:
            raise DiskFullError(
                f"path: {str(self.path)!r} needs {n_bytes:,} bytes; its disk has {free:,} "
                f"left. Name a file on another one, or choose a smaller output."
            )
        # A record of what is no longer there must not speak for what comes.
        self.record.unlink(missing_ok=True)
        _sync_directory(self.record.parent)
        try:
            with room(self.path):
                make(self.part)
                _reserve(self.part)
                self._write_record(0)
        except BaseException:
            self.discard()
            raise

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Opens the partial file for :meth:`write` and :meth:`save_progress`.

        Raises:
            DiskFullError: The disk is full.
        """
        self._is_lost = False
        with room(self.path), self.part.open("r+b") as self._file:
            yield

    def write(self, offset: int, data: bytes) -> None:
        """Writes bytes at a place."""
        # Not through a memory map, where a full disk ends the process.
        self._file.seek(offset)
        self._file.write(data)

    def save_progress(self, n_done: int) -> None:
        """Brings what is written to the disk, and then the number of items.

        When that has failed once, no number is recorded any more.
        """
        if self._is_lost:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            # A second attempt may succeed, after the system has thrown away what it could
            # not write: it tells of that only once.
            self._is_lost = True
            raise
        self._write_record(n_done)

    def complete(self) -> None:
        """Gives the file its name."""
        self.name_complete(self.part)

    def name_complete(self, content: Path) -> None:
        """Brings a file to the disk, and gives it the name of the complete one."""
        with content.open("r+b") as file:
            os.fsync(file.fileno())
        content.replace(self.path)
        _sync_directory(self.path.parent)

    def discard(self) -> None:
        """Removes what is there of an incomplete file."""
        for path in (self.part, self.record):
            path.unlink(missing_ok=True)

    def read_record(self) -> dict[str, Any] | None:
        """What ``path.json`` says; ``None`` if there is none.

        Raises:
            ValueError: It cannot be read.
        """
        try:
            record = parse_json(self.record.read_bytes())
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
                f"path: cannot read {str(self.record)!r} ({error}). Delete it and what it "
                "stands beside, or name another file."
            ) from error
        return record

    def _write_record(self, n_done: int) -> None:
        record = {"n_done": n_done, "fingerprint": self.fingerprint}
        text = json.dumps(record, indent=2) + "\n"
        write_beside(self.record, lambda file: file.write(text.encode()))
        _sync_directory(self.record.parent)


def _reserve(path: Path) -> None:
    """Takes the room of a file that has holes, so that it cannot be missing later."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if size:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                # Not every file system can; there the room is taken as it is needed.
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    """Brings the names in a directory to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
