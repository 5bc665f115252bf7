"""Reads numbers and fields of protocol buffers and checkpoint indices in place.

TensorFlow's own parsers can take many times a file's size in memory, or crash the process.
"""

from __future__ import annotations

from collections.abc import Iterator

_LARGEST_VARINT = 10  # bytes
_FIXED_BYTES = {1: 8, 5: 4}  # by wire type


def read_varint(data: bytes | memoryview, place: int) -> tuple[int, int]:
    """An integer with seven bits in each byte, and the position after it."""
    number = 0
    for i, byte in enumerate(data[place : place + _LARGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number, place + i + 1
    raise ValueError("a number has no end")


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The number and the content of each field of a protocol buffer."""
    place = 0
    while place < len(message):
        tag, place = read_varint(message, place)
        wire_type = tag & 7
        if wire_type == 0:
            _, end = read_varint(message, place)
        elif wire_type == 2:
            size, place = read_varint(message, place)
            end = place + size
        else:
            end = place + _FIXED_BYTES.get(wire_type, len(message))
        if end > len(message) or tag >> 32:
            raise ValueError("a field is damaged")
        yield tag >> 3, message[place:end]
        place = end
