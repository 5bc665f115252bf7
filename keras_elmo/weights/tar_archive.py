"""Unpacks .tar.gz archives."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from pathlib import Path, PureWindowsPath
from typing import Self

from keras_elmo.types import PathLike
from keras_elmo.weights.archive import (
    CHUNK,
    MOST_BYTES,
    RefusedMemberError,
    check_member,
    unpacking,
)
from keras_elmo.weights.atomic import replacing

_MOST_HEADERS = 500
# Long names and fractional times have their own header.
_EXTRA_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE)
_LARGEST_EXTRA_HEADER = 1024  # bytes; tarfile's time grows with their square
_KINDS = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, *_EXTRA_HEADERS)


def unpack_tar(path: PathLike, target: Path, max_bytes: int) -> None:
    """Unpacks an archive of up to ``max_bytes`` to ``target``, unless it exists."""
    if target.is_dir():
        return
    with unpacking(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(target) as folder, _LimitedGzip(path, max_bytes) as stream:
                folder.mkdir()
                _unpack_members(stream, folder)
        except OSError:
            if not target.is_dir():  # otherwise another process was faster
                raise


def check_gzip(path: Path) -> None:
    """Reads all of a gzip file; raises SourceError if it is cut or damaged."""
    with unpacking(path), _LimitedGzip(path, MOST_BYTES) as stream:
        while stream.read(CHUNK):
            pass


class _LimitedGzip(gzip.GzipFile):
    """A gzip file that raises once it has been read beyond a size."""

    def __init__(self, path: PathLike, max_bytes: int) -> None:
        super().__init__(path, "rb")
        self.max_bytes = max_bytes

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        if self.tell() > self.max_bytes:
            raise RefusedMemberError(
                f"it unpacks to more than the {self.max_bytes:,} bytes that are accepted"
            )
        return block


class _Header(tarfile.TarInfo):
    """A header that is checked before tarfile reads its member."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        check_member(header.name, header.type in _KINDS)
        if header.type in _EXTRA_HEADERS and header.size > _LARGEST_EXTRA_HEADER:
            raise RefusedMemberError(f"it has a header of {header.size:,} bytes")
        return header

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        assert isinstance(tarfile, _PlainTar)
        tarfile.n_headers += 1
        if tarfile.n_headers > _MOST_HEADERS:
            raise RefusedMemberError(f"it has more than {_MOST_HEADERS:,} headers")
        return super().fromtarfile(tarfile)


class _PlainTar(tarfile.TarFile):
    tarinfo = _Header
    n_headers = 0


def _unpack_members(stream: gzip.GzipFile, folder: Path) -> None:
    # "r|" reads forward only: one pass sees all bytes.
    with _PlainTar.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            # Again: pax headers may have changed the name and the size, and a sparse file
            # that they describe has the type of a plain one.
            check_member(member.name, member.size >= 0 and not member.issparse())
            place = folder.joinpath(*PureWindowsPath(member.name).parts)
            # Modes, owners and times are ignored.
            source = archive.extractfile(member)
            try:
                (place.parent if source else place).mkdir(parents=True, exist_ok=True)
                if source is not None:  # not a directory
                    with source, place.open("xb") as file:
                        shutil.copyfileobj(source, file)
            except (FileExistsError, NotADirectoryError) as error:
                problem = f"its member {member.name!r:.200} has the name of another"
                raise RefusedMemberError(problem) from error
        _check_end(archive)


def _check_end(archive: tarfile.TarFile) -> None:
    """Reads the rest, which must be zeros: tarfile stops at a damaged header."""
    n_bytes = 0
    while block := archive.fileobj.read(CHUNK):
        n_bytes += len(block)
        if block.strip(b"\0"):
            raise tarfile.ReadError("a header cannot be read")
    if n_bytes < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it has no end")
