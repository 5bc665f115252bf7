"""Bytes to lines: plain or gzip, none of them larger than memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

MAX_LINE_BYTES = 1 << 24
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        number: Of the line, from 1.
        data: Its bytes, the end of the line included; the first ``MAX_LINE_BYTES`` of them.
        is_cut: Whether there were more.
    """

    number: int
    data: bytes
    is_cut: bool = False


def read_lines(path: Path) -> Iterator[Line]:
    """Reads a file line by line.

    Args:
        path: The file. One that begins like gzip is decompressed, whatever its name.

    Yields:
        Its lines, without a byte order mark. Only a line feed ends a line.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be decompressed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"corpus: there is no file {str(path)!r}.")
    with path.open("rb") as file:
        if file.peek(2)[:2] != _GZIP:
            yield from _lines(file)
            return
        with gzip.open(file) as unpacked:
            try:
                yield from _lines(unpacked)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise ValueError(
                    f"corpus: cannot decompress {str(path)!r} ({error}). The file is cut "
                    "or damaged: get it again."
                ) from error


def _lines(file: IO[bytes] | io.BufferedIOBase) -> Iterator[Line]:
    number = 0
    while data := file.readline(MAX_LINE_BYTES):
        number += 1
        is_cut = len(data) == MAX_LINE_BYTES and not data.endswith(b"\n")
        if is_cut:
            while rest := file.readline(MAX_LINE_BYTES):
                if rest.endswith(b"\n"):
                    break
        if number == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        yield Line(number, data, is_cut)
