"""A file that takes long to make, and the names next to it: locks, room, the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from keras_elmo.errors import DiskFullError

# Files whose names end in these after the name of a file are written and deleted while it
# is made.
SUFFIXES = (
    *(".part", ".part2", ".lock"),
    *(".json", ".json.part"),
    *(".offsets.npy", ".offsets.npy.part"),
    *(".sentences.jsonl", ".sentences.jsonl.part"),
)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def next_to(path: Path, suffix: str) -> Path:
    """The file next to ``path`` whose name has ``suffix`` after it."""
    return path.with_name(path.name + suffix)


def check_path(path: Path) -> None:
    """Checks that there is a directory, and that names next to it are not too long."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path: there is no directory {str(path.parent)!r}. Make it first."
        )
    longest = len(os.fsencode(path.name)) + max(map(len, SUFFIXES))
    try:
        limit = os.pathconf(path.parent, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return  # not every system reports it
    if longest > limit:
        raise ValueError(
            f"path: the name {path.name!r:.200} is too long by {longest - limit} bytes: "
            "the names of files next to it start with it. Choose a shorter one."
        )


def check_apart(path: Path, source: Path) -> None:
    """Checks that ``source`` is none of the files that are written next to ``path``."""
    for suffix in SUFFIXES:
        file = next_to(path, suffix)
        if file.exists() and file.samefile(source):
            raise ValueError(
                f"path: {str(path)!r} would write over {str(source)!r}: a file of that "
                "name is made next to it. Give one of them another name."
            )


def check_free(path: Path, suffixes: Iterable[str], ours: bytes | None = None) -> None:
    """Checks that no files of the user's are in the places of those next to ``path``.

    A killed process may have left a file with the content ``ours``, or the start of it.
    """
    for file in (next_to(path, suffix) for suffix in suffixes):
        is_ours = ours is not None and file.is_file() and ours.startswith(file.read_bytes())
        if os.path.lexists(file) and not is_ours:
            raise FileExistsError(
                f"path: {str(file)!r} exists, and is not of an earlier run: a file of that "
                f"name is made next to {str(path)!r}. Move it, or name another file."
            )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes from ``path``, by a file with ``.lock`` after its name."""
    check_free(path, [".lock"], b"")
    lock = filelock.FileLock(next_to(path, ".lock"), timeout=0)
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
    """Turns the errors of a full disk into one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise DiskFullError(
            f"path: the disk of {str(path)!r} is full. Make room, and do the same again: "
            "it resumes where it was."
        ) from error


def write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Writes a file that appears under its name when it is complete, and on the disk.

    A process that is killed leaves one file of a known name, which the next one replaces.
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
    """Brings the names in a directory to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
