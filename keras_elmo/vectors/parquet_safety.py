"""Computes the memory that a Parquet file takes before Arrow reads it.

A page of a few bytes can encode a billion values; a byte of the footer can take 370 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras_elmo.hub.wire import read_varint

_DETAILS = {
    0: 5,
    2: 7,
    3: 8,
}  # header fields of data, dictionary and data (version 2) pages
_DICTIONARY = 2
_SMALL_FOOTER = 1 << 17  # bytes; a real file's footer has a few thousand
_FOOTER_SHARE = 16
_VALUE_BYTES = 8  # of a number, with its position in a list
_TEXT_BYTES = 64  # of a str without its content


def check_footer(data: Any) -> None:
    """Raises ValueError if the footer is too large for the file."""
    n_bytes = int.from_bytes(data[-8:-4], "little")
    if n_bytes > max(_SMALL_FOOTER, len(data) // _FOOTER_SHARE):
        raise ValueError(f"a footer of {n_bytes:,} bytes")


def bytes_of_pages(data: Any, columns: Iterable[Any]) -> int:
    """The memory for reading all columns; raises ValueError for inconsistent pages."""
    return sum(_bytes_of_column(data, column) for column in columns)


def _bytes_of_column(data: Any, column: Any) -> int:
    is_text = column.physical_type == "BYTE_ARRAY"
    place = min(column.data_page_offset, column.dictionary_page_offset or 1 << 63)
    end = place + column.total_compressed_size
    n_bytes = n_values = n_entries = 0
    while place < end:
        header, place = _struct(data, place)
        kind, size, stored = header[1], header[2], header[3]
        count = header[_DETAILS[kind]][1]
        if min(size, stored, count) < 0:
            raise ValueError("a page of negative size")
        place += stored
        n_bytes += size
        n_entries += count
        n_values += count if kind != _DICTIONARY else 0
    if place != end or n_values != column.num_values:
        raise ValueError("pages of other sizes than their column's")
    return n_bytes + n_entries * (_TEXT_BYTES if is_text else _VALUE_BYTES)


def _struct(data: Any, place: int) -> tuple[dict[int, Any], int]:
    """The fields of a structure in Thrift's compact form, and the position after it."""
    fields: dict[int, Any] = {}
    number = 0
    while byte := data[place]:
        place += 1
        step, kind = byte >> 4, byte & 0xF
        if step == 0:
            raise ValueError("a page with fields that are unknown")
        number += step
        if kind in (1, 2):  # true, false
            fields[number] = kind == 1
        elif kind in (4, 5, 6):  # integers
            found, place = read_varint(data, place)
            fields[number] = found >> 1 ^ -(found & 1)
        elif kind == 8:  # bytes
            found, place = read_varint(data, place)
            place += found
        elif kind == 12:
            fields[number], place = _struct(data, place)
        else:
            raise ValueError("a page with fields that are unknown")
    return fields, place + 1
