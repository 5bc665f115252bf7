"""ELMo weights in zip archives: two members are unpacked, nothing else is."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PureWindowsPath

from keras_elmo.errors import SourceError
from keras_elmo.types import PathLike

# What zipfile and its codecs raise for a damaged member; OSError is bz2's.
_DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    zlib.error,
    lzma.LZMAError,
)


def member_names(path: PathLike) -> list[str]:
    """The files in a zip archive, if it is a harmless one.

    Args:
        path: The archive.

    Returns:
        The names of its members, without folders.

    Raises:
        SourceError: It is not a zip archive, or has members that are links, encrypted
            or point out of the archive.
    """
    with _opened(path) as archive:
        for member in archive.infolist():
            _check_member(member, path)
        return [member.filename for member in archive.infolist() if not member.is_dir()]


def unpack_member(path: PathLike, name: str, target: Path, max_bytes: int) -> None:
    """Unpacks one member, up to a size.

    Args:
        path: The archive.
        name: The member, one of :func:`member_names`.
        target: The file to write.
        max_bytes: How many bytes are acceptable.

    Raises:
        SourceError: The member is larger than ``max_bytes``, or damaged.
    """
    with _opened(path) as archive:
        # zipfile reads no more than a member declares, whatever it holds.
        declared = archive.getinfo(name).file_size
        if declared > max_bytes:
            raise SourceError(
                f"Refusing to unpack {name!r} from {os.fspath(path)!r}: it unpacks to "
                f"{declared:,} bytes where at most {max_bytes:,} are expected. It is not "
                "the archive of an ELMo model, or its options belong to another."
            )
        try:
            with archive.open(name) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
        except _DAMAGED as error:
            raise SourceError(
                f"Cannot unpack {name!r} from {os.fspath(path)!r} ({error}): the archive "
                "is cut or damaged. Download or copy it again."
            ) from error


def _opened(path: PathLike) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    # A damaged directory can make zipfile fail in each of these ways.
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise SourceError(
            f"Cannot read the zip archive {os.fspath(path)!r} ({error}): it is not a zip "
            "archive, or cut or damaged. Download or copy it again."
        ) from error


def _check_member(member: zipfile.ZipInfo, path: PathLike) -> None:
    # As Windows reads it: backslashes separate too, and a drive may come first.
    name = PureWindowsPath(member.filename)
    if name.anchor or ".." in name.parts:
        problem = "points out of the archive"
    elif stat.S_ISLNK(member.external_attr >> 16):
        problem = "is a link"
    elif member.flag_bits & 0x1:
        problem = "is encrypted"
    else:
        return
    raise SourceError(
        f"Refusing to read the zip archive {os.fspath(path)!r}: its member "
        f"{member.filename!r} {problem}. Pack plain files only."
    )
