"""TF1 Hub modules in .tar.gz archives, which are unpacked as a whole."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import tempfile
from pathlib import Path, PureWindowsPath

from keras_elmo.errors import SourceError
from keras_elmo.types import PathLike
from keras_elmo.weights.archive import CHUNK, DAMAGED, MOST_BYTES, points_out, unpacking

_MOST_MEMBERS = 10_000


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
    with unpacking(path, repr(os.fspath(path))):
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
            while stream.read(CHUNK):
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
    if points_out(member.name):
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
    while block := archive.fileobj.read(CHUNK):
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
