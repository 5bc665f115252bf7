"""ELMo models in archives: of a zip, two members are unpacked; a tar.gz, as a whole.

An archive is untrusted: it may name files outside the place it is unpacked to, hold links,
or unpack without bound. Such archives are refused, and cut or damaged ones found.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.types import PathLike

MOST_BYTES = 1 << 32
"""More bytes than any model has: the largest released ones have under half a gigabyte."""

_MOST_MEMBERS = 10_000
# How much larger than its archive a model may be; weights hardly compress.
_LARGEST_RATIO = 20
_SMALLEST_LIMIT = 1 << 26  # bytes
_CHUNK = 1 << 20

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


# ---------------------------------------------------------------------------------- zip


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
            _unpacking(path, f"{name!r:.200} from {os.fspath(path)!r}"),
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
                    while source.read(_CHUNK):
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
    if _points_out(member.filename):
        return f"{name} points out of the archive"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return f"{name} is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"{name} is neither a plain file nor a directory"
    if member.flag_bits & 0x1:
        return f"{name} is encrypted"
    return ""


# ------------------------------------------------------------------------------- tar.gz


def unpack_tar(path: PathLike, target: Path, max_bytes: int) -> None:
    """Unpacks a .tar.gz archive as a whole, up to a size.

    Nothing is done if ``target`` is there: it is moved into place in one step, so it is
    only ever there as a whole.

    Args:
        path: The archive.
        target: The directory to make.
        max_bytes: How many bytes are acceptable, counted while they are unpacked, the
            headers of the archive among them.

    Raises:
        DamagedSourceError: The archive is cut or damaged.
        SourceError: It is larger than ``max_bytes``, or has more than 10,000 members, or
            members that are no plain files or point out of it; or there is no space for
            it. In every case, nothing of it is left.
    """
    if target.is_dir():
        return
    with _unpacking(path, repr(os.fspath(path))):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=target.parent) as scratch:
            folder = Path(scratch, target.name)
            folder.mkdir()
            with _LimitedGzip(path, max_bytes) as stream:
                _unpack_members(stream, folder, path)
            _move(folder, target)


def check_gzip(path: Path) -> None:
    """Reads all of a gzip file, so that its checksum is compared.

    Args:
        path: The file.

    Raises:
        ValueError: It is not a gzip file, cut, damaged or beyond all sizes.
    """
    try:
        with _LimitedGzip(path, MOST_BYTES) as stream:
            while stream.read(_CHUNK):
                pass
    except DAMAGED as error:
        raise ValueError(f"what came is not a whole gzip file: {error!s:.300}") from error


class _LimitedGzip(gzip.GzipFile):
    """A gzip file that is read up to a size, whatever its content says about itself."""

    def __init__(self, path: PathLike, max_bytes: int) -> None:
        super().__init__(path, "rb")
        self.path = os.fspath(path)
        self.max_bytes = max_bytes

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        if self.tell() > self.max_bytes:
            raise SourceError(
                f"Refusing to unpack {self.path!r}: it unpacks to more than the "
                f"{self.max_bytes:,} bytes that are acceptable."
            )
        return block


def _unpack_members(stream: gzip.GzipFile, folder: Path, path: PathLike) -> None:
    # "r|" reads forward only, so that one pass sees all bytes. The members' modes, owners
    # and times are not taken over, which leaves tarfile's own extraction nothing to do.
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for n_before, member in enumerate(archive):
            if problem := _tar_problem(member, n_before):
                raise SourceError(
                    f"Refusing to unpack {os.fspath(path)!r}: {problem}. Pack plain files "
                    "and directories only."
                )
            # The parts that were checked, on every system.
            place = folder.joinpath(*PureWindowsPath(member.name).parts)
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None  # it is a plain file
            with source, place.open("wb") as file:
                shutil.copyfileobj(source, file)
        _check_end(archive)


def _tar_problem(member: tarfile.TarInfo, n_before: int) -> str:
    """What is wrong with a member; empty if it is harmless."""
    name = f"its member {member.name!r:.200}"
    if n_before == _MOST_MEMBERS:
        return f"it has more than {_MOST_MEMBERS:,} members"
    if _points_out(member.name):
        return f"{name} points out of the archive"
    if member.size < 0:
        return f"{name} has the size {member.size}"
    # Sparse files unpack to more than is read. isreg() includes them, and those whose
    # holes are told by a pax header have the type of plain files.
    kinds = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
    if member.type not in kinds or member.issparse():
        return f"{name} is neither a plain file nor a directory"
    return ""


def _check_end(archive: tarfile.TarFile) -> None:
    """Reads the rest of an archive, which must be zeros.

    tarfile takes the first header that it cannot read for the end, and leaves the second
    block of zeros, as well as gzip's checksum behind it.
    """
    n_bytes = 0
    while block := archive.fileobj.read(_CHUNK):
        n_bytes += len(block)
        if block.strip(b"\0"):
            raise tarfile.ReadError("a header cannot be read")
    if n_bytes < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it has no end")


def _move(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():  # another process was faster
            raise


# --------------------------------------------------------------------------------- both


def _points_out(name: str) -> bool:
    # As Windows reads it: backslashes separate too, a drive may come first, and dots and
    # spaces at the end of a name are dropped, so that ".. " is "..".
    path = PureWindowsPath(name)
    return bool(path.anchor) or not all(part.strip(" .") for part in path.parts)


@contextmanager
def _unpacking(archive: PathLike, what: str) -> Iterator[None]:
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
