"""Checks that zip and tar archives share: only plain files with relative names."""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PureWindowsPath

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.types import PathLike

MOST_BYTES = 1 << 33
"""More bytes than any model has: the largest released ones have under half a gigabyte."""

CHUNK = 1 << 20
# How much larger than its archive a model may be; weights hardly compress.
_LARGEST_RATIO = 20
_SMALLEST_LIMIT = 1 << 26  # bytes
LARGEST_DEPTH = 8  # parts of a name; those of modules and models have about three

# What zipfile, tarfile, gzip and their codecs raise for a damaged archive. ValueError:
# names with zero bytes. RuntimeError: encryption, endless recursion. IndexError,
# struct.error: fields that are shorter than declared.
DAMAGED = (
    *(EOFError, IndexError, OSError, RuntimeError, ValueError, struct.error),
    *(lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


class RefusedMemberError(ValueError):
    """An archive has a member that archives of models do not have."""


def most_unpacked_bytes(n_bytes: int) -> int:
    """The most bytes that an archive of weights of this size may unpack to."""
    return max(_SMALLEST_LIMIT, _LARGEST_RATIO * n_bytes)


def check_member(name: str, is_plain: bool) -> None:
    """Raises RefusedMemberError unless a member is plain and stays in its folder."""
    # As on Windows: backslashes separate too, a drive may come first, and dots and spaces
    # at the end of a name are dropped, so ".. " is "..".
    path = PureWindowsPath(name)
    if path.anchor or not all(part.strip(" .") for part in path.parts):
        raise RefusedMemberError(f"its member {name!r:.200} points out of the archive")
    if len(path.parts) > LARGEST_DEPTH:
        raise RefusedMemberError(f"its member {name!r:.200} is nested too deeply")
    if not is_plain:
        problem = "is neither a plain file nor a directory"
        raise RefusedMemberError(f"its member {name!r:.200} {problem}")


@contextmanager
def unpacking(archive: PathLike) -> Iterator[None]:
    """Reports errors of the block as those of a bad archive or of the file system."""
    try:
        yield
    except SourceError:
        raise
    except RefusedMemberError as error:
        raise SourceError(
            f"Refusing to unpack {str(archive)!r}: {error}. Pack plain files only."
        ) from error
    except DAMAGED as error:
        message = f"Cannot unpack {str(archive)!r} ({error!s:.300})"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SourceError(f"{message}: free some space.") from error
        # The codecs' own OSErrors name no file.
        if isinstance(error, OSError) and error.filename is not None:
            raise SourceError(f"{message}: check the path and its permissions.") from error
        raise DamagedSourceError(
            f"{message}: the archive is cut or damaged. Download or copy it again."
        ) from error
