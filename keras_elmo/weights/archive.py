"""What zip and tar archives of models have in common.

An archive is untrusted: it may name files outside the place it is unpacked to, hold links,
or unpack without bound. Such archives are refused, and cut or damaged ones found.
"""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.types import PathLike

MOST_BYTES = 1 << 32
"""More bytes than any model has: the largest released ones have under half a gigabyte."""

CHUNK = 1 << 20
"""How many bytes are read at once."""

# How much larger than its archive a model may be; weights hardly compress.
_LARGEST_RATIO = 20
_SMALLEST_LIMIT = 1 << 26  # bytes

# What zipfile, tarfile, gzip and their codecs raise for a damaged archive. ValueError:
# names with zero bytes. RuntimeError: encryption, unknown methods, endless recursion.
# IndexError, struct.error: fields that are shorter than they say.
DAMAGED = (
    IndexError,
    struct.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    zlib.error,
)
"""What damaged archives end in."""


def most_unpacked_bytes(path: Path) -> int:
    """How many bytes an archive of weights may unpack to."""
    return max(_SMALLEST_LIMIT, _LARGEST_RATIO * path.stat().st_size)


def points_out(name: str) -> bool:
    """Whether a member's name leads out of the place that it is unpacked to."""
    # As Windows reads it: backslashes separate too, a drive may come first, and dots and
    # spaces at the end of a name are dropped, so that ".. " is "..".
    path = PureWindowsPath(name)
    return bool(path.anchor) or not all(part.strip(" .") for part in path.parts)


@contextmanager
def unpacking(archive: PathLike, what: str) -> Iterator[None]:
    """Tells a damaged archive from a file system that does not take its content."""
    try:
        yield
    except SourceError:
        raise
    except DAMAGED as error:
        message = f"Cannot unpack {what} ({error!s:.300})"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SourceError(f"{message}: free some space.") from error
        # The codecs' own OSErrors name no file.
        if isinstance(error, OSError) and error.filename is not None:
            raise SourceError(f"{message}: check the path and its permissions.") from error
        raise DamagedSourceError(
            f"{message}: the archive is cut or damaged. Download or copy it again.",
            Path(archive),
        ) from error
