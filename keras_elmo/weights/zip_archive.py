"""ELMo models in zip archives, of which two members are unpacked."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.types import PathLike
from keras_elmo.weights.archive import CHUNK, DAMAGED, MOST_BYTES, points_out, unpacking


def member_names(path: PathLike) -> list[str]:
    """The files in a zip archive, if it is a harmless one.

    Args:
        path: The archive.

    Returns:
        The names of its members, without folders.

    Raises:
        DamagedSourceError: It is not a zip archive, cut or damaged.
        SourceError: It has members that are links, encrypted or point out of the archive.
    """
    with _opened(path) as archive:
        for member in archive.infolist():
            if problem := _zip_problem(member):
                raise SourceError(
                    f"Refusing to read the zip archive {os.fspath(path)!r}: {problem}. "
                    "Pack plain files only."
                )
        names = [member.filename for member in archive.infolist()]
        return [name for name in names if name and not name.endswith("/")]


def unpack_member(path: PathLike, name: str, target: Path, max_bytes: int) -> None:
    """Unpacks one member, up to a size.

    Args:
        path: The archive.
        name: The member, one of :func:`member_names`.
        target: The file to write.
        max_bytes: How many bytes are acceptable.

    Raises:
        DamagedSourceError: The member is cut or damaged.
        SourceError: It is larger than ``max_bytes``, or there is no space for it.
    """
    with _opened(path) as archive:
        # zipfile reads no more than a member declares, whatever it holds.
        declared = archive.getinfo(name).file_size
        if declared > max_bytes:
            raise SourceError(
                f"Refusing to unpack {name!r:.200} from {os.fspath(path)!r}: it unpacks to "
                f"{declared:,} bytes where at most {max_bytes:,} are expected. It is not "
                "the archive of an ELMo model, or its options belong to another."
            )
        with (
            unpacking(path, f"{name!r:.200} from {os.fspath(path)!r}"),
            archive.open(name) as source,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(source, file)


def check_zip(path: Path) -> None:
    """Reads all of a zip archive, so that every checksum is compared.

    Args:
        path: The archive.

    Raises:
        ValueError: It is not a zip archive, or cut, damaged, harmful or beyond all sizes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(member.file_size for member in archive.infolist())
            if n_bytes > MOST_BYTES:
                raise ValueError(f"it unpacks to {n_bytes:,} bytes")
            for member in archive.infolist():
                if problem := _zip_problem(member):
                    raise ValueError(problem)
                with archive.open(member) as source:
                    while source.read(CHUNK):
                        pass
    except DAMAGED as error:
        raise ValueError(f"what came is not a whole zip archive: {error!s:.300}") from error


def _opened(path: PathLike) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except DAMAGED as error:
        raise DamagedSourceError(
            f"Cannot read the zip archive {os.fspath(path)!r} ({error!s:.300}): it is not "
            "a zip archive, or cut or damaged. Download or copy it again.",
            Path(path),
        ) from error


def _zip_problem(member: zipfile.ZipInfo) -> str:
    """What is wrong with a member; empty if it is harmless."""
    name = f"its member {member.filename!r:.200}"
    if points_out(member.filename):
        return f"{name} points out of the archive"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return f"{name} is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"{name} is neither a plain file nor a directory"
    if member.flag_bits & 0x1:
        return f"{name} is encrypted"
    return ""
