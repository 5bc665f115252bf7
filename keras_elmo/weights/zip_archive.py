"""Unpacks members of zip archives."""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from keras_elmo.errors import SourceError
from keras_elmo.weights.archive import CHUNK, MOST_BYTES, check_member, unpacking


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens a zip archive of plain files; reports errors of the block as its damage."""
    with (
        unpacking(path),
        _BoundedFile(str(path)) as file,
        zipfile.ZipFile(file) as archive,
    ):
        for member in archive.infolist():
            check_member(member.filename, _is_plain(member))
        yield archive


def unpack_member(
    archive: zipfile.ZipFile, name: str, target: Path, max_bytes: int
) -> None:
    """Unpacks one member into a file, unless it has more than ``max_bytes``."""
    # zipfile does not read more than a member declares.
    declared = archive.getinfo(name).file_size
    if declared > max_bytes:
        raise SourceError(
            f"Refusing to unpack {name!r:.200} from {archive.filename!r}: it unpacks to "
            f"{declared:,} bytes; expected at most {max_bytes:,}. It is not the archive of "
            "an ELMo model, or its options belong to another model."
        )
    with archive.open(name) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def check_zip(path: Path) -> None:
    """Reads all of a zip archive; raises SourceError if it is cut or damaged."""
    with open_zip(path) as archive:
        n_bytes = sum(member.file_size for member in archive.infolist())
        if n_bytes > MOST_BYTES:
            raise ValueError(f"it unpacks to {n_bytes:,} bytes")
        for member in archive.infolist():
            with archive.open(member) as file:
                found = sum(len(block) for block in iter(partial(file.read, CHUNK), b""))
            if found != member.file_size:
                raise ValueError(f"{member.filename!r:.200} has {found:,} bytes")


class _BoundedFile(io.FileIO):
    """A file that is read in pieces; a directory that is larger is cut, and so refused."""

    def read(self, size: int | None = -1) -> bytes:
        all_of_it = size is None or size < 0
        return super().read(CHUNK if all_of_it else min(size or 0, CHUNK))


def _is_plain(member: zipfile.ZipInfo) -> bool:
    return (
        stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
        and member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        and not member.flag_bits & 0x1  # encrypted
    )
