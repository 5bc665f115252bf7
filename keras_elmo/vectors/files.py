"""Helpers for a file that takes long to write: neighboring files, locks, disk space."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from keras_elmo.errors import DiskFullError

# While a file is written, files with its name and these suffixes are created and deleted.
SUFFIXES = (
    *(".part", ".part2", ".lock"),
    *(".json", ".json.part"),
    *(".offsets.npy", ".offsets.npy.part"),
    *(".sentences.jsonl", ".sentences.jsonl.part"),
)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def next_to(path: Path, suffix: str) -> Path:
    """The file next to ``path`` with ``suffix`` added to its name."""
    return path.with_name(path.name + suffix)


def check_path(path: Path) -> None:
    """Checks that the directory exists, and that neighboring names are not too long."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path: there is no directory {str(path.parent)!r}. Create it first."
        )
    longest = len(os.fsencode(path.name)) + max(map(len, SUFFIXES))
    try:
        limit = os.pathconf(path.parent, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return  # not every system reports it
    if longest > limit:
        raise ValueError(
            f"path: the name {path.name!r:.200} is {longest - limit} bytes too long, "
            "because other files add a suffix to it. Choose a shorter name."
        )


def check_apart(path: Path, source: Path) -> None:
    """Checks that ``source`` is not one of the files written next to ``path``."""
    for suffix in SUFFIXES:
        file = next_to(path, suffix)
        if file.exists() and file.samefile(source):
            raise ValueError(
                f"path: writing {str(path)!r} would overwrite {str(source)!r}, because a "
                "file of that name is created next to it. Rename one of them."
            )


def check_free(path: Path, suffixes: Iterable[str], ours: bytes | None = None) -> None:
    """Checks that the files next to ``path`` would not overwrite the user's files.

    A killed process may have left a file with the content ``ours``, or the start of it.
    """
    for file in (next_to(path, suffix) for suffix in suffixes):
        is_ours = ours is not None and file.is_file() and ours.startswith(file.read_bytes())
        if os.path.lexists(file) and not is_ours:
            raise FileExistsError(
                f"path: {str(file)!r} exists and is not from an earlier run, but a file of "
                f"that name is created next to {str(path)!r}. Move it, or choose another "
                "path."
            )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Locks ``path`` for this process, with a ``.lock`` file next to it."""
    check_free(path, [".lock"], b"")
    lock = filelock.FileLock(next_to(path, ".lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise BlockingIOError(
            f"path: another process is working on {str(path)!r}. Wait for it, or choose "
            "another path."
        ) from error
    try:
        yield
    finally:
        try:
            # While we hold it: a process that has already opened it notices. On systems
            # that cannot remove open files, it stays.
            with suppress(OSError):
                Path(lock.lock_file).unlink()
        finally:
            lock.release()


@contextmanager
def room(path: Path) -> Iterator[None]:
    """Explains the errors of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise DiskFullError(
            f"path: the disk of {str(path)!r} is full. Free some space and run the same "
            "again: it resumes."
        ) from error


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Writes a file that appears when it is complete and on the disk.

    A killed process leaves one file with a known name, which the next run replaces.
    """
    temporary = next_to(path, ".part")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Flushes the names in a directory to the disk, if the system supports it."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
