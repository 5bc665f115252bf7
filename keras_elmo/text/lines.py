"""Reads lines of plain or gzip files, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MAX_LINE_BYTES = 1 << 24
TOO_LONG = "longer than 16 MiB"

# Text compresses to a third or a tenth; a file that unpacks to far more is an attack.
LARGEST_RATIO = 100
ALWAYS_ALLOWED = 1 << 28  # bytes

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line of a file, without its end; the first ``MAX_LINE_BYTES`` if it is longer."""

    number: int  # from 1
    data: bytes
    is_cut: bool = False


def read_lines(path: Path) -> Iterator[Line]:
    """Reads a file line by line, and decompresses it if it starts like gzip."""
    with path.open("rb") as file:
        if file.peek(2)[:2] != _GZIP:
            yield from _lines(file)
            return
        most = max(ALWAYS_ALLOWED, LARGEST_RATIO * path.stat().st_size)
        with gzip.open(file) as unpacked:
            try:
                for line in _lines(unpacked):
                    if unpacked.tell() > most:
                        raise ValueError(
                            f"{str(path)!r} unpacks to over {most:,} bytes, far more than "
                            "compressed text does. If it is text, decompress it first."
                        )
                    yield line
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise ValueError(
                    f"{str(path)!r} cannot be decompressed ({error}). The file is cut or "
                    "damaged: download or copy it again."
                ) from error


def _lines(file: Any) -> Iterator[Line]:
    number = 0
    while data := file.readline(MAX_LINE_BYTES):
        number += 1
        last = data
        while len(last) == MAX_LINE_BYTES and not last.endswith(b"\n"):
            last = file.readline(MAX_LINE_BYTES)
        is_cut = last is not data and bool(last)
        if data.endswith(b"\n"):
            data = data[:-1].removesuffix(b"\r")
        if number == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        yield Line(number, data, is_cut)
