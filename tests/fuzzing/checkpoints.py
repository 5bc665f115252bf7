"""Changes inside the index of a TensorFlow checkpoint, with checksums that are right again.

The index is a table of LevelDB's form: blocks, each followed by a byte for its compression
and a masked CRC-32C, and a footer with the place of the block that lists the others.
"""

from __future__ import annotations

import random
import struct

from tests.fuzzing.mutations import NUMBERS

_FOOTER = 48
_MASK = 0xA282EAD8


def mutated_index(content: bytes, rng: random.Random) -> bytes:
    """Changes some bytes of a block, and its checksum with them."""
    changed = bytearray(content)
    blocks = _blocks(content)
    # The last one lists the others.
    start, size = rng.choice(blocks if rng.random() < 0.9 else blocks[-1:])
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = start + rng.randrange(size)
        kind = rng.random()
        if kind < 0.4:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind < 0.6:
            changed[place] = rng.randrange(256)
        else:
            # As a varint, the form that numbers have here.
            number = varint(rng.choice(NUMBERS))
            changed[place : place + len(number)] = number
    del changed[len(content) :]
    block = bytes(changed[start : start + size + 1])
    changed[start + size + 1 : start + size + 5] = struct.pack("<I", masked_crc(block))
    return bytes(changed[: len(content)])


def _blocks(content: bytes) -> list[tuple[int, int]]:
    """The place and size of each block, the one that lists the others last."""
    footer = content[-_FOOTER:]
    place = 0
    handle = []
    for _ in range(4):
        number, place = _read_varint(footer, place)
        handle.append(number)
    start, size = handle[2:]
    block = content[start : start + size]
    (n_restarts,) = struct.unpack_from("<I", block, size - 4)
    blocks, place = [], 0
    while place < size - 4 - 4 * n_restarts:
        _, place = _read_varint(block, place)
        n_key, place = _read_varint(block, place)
        n_value, place = _read_varint(block, place)
        place += n_key
        first, after = _read_varint(block, place)
        blocks.append((first, _read_varint(block, after)[0]))
        place += n_value
    return [*blocks, (start, size)]


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if byte < 0x80:
            return number, place


def varint(number: int) -> bytes:
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*result, number])


def _crc_table() -> list[int]:
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ 0x82F63B78 * (i & 1)
        table.append(i)
    return table


_CRC = _crc_table()


def masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
