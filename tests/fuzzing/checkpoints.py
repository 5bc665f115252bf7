"""Changes inside the index of a TensorFlow checkpoint, with checksums that are right again.

The index is a table of LevelDB's form: blocks, each followed by a byte for its compression
and a masked CRC-32C, and a footer with the place of the block that lists the others.
"""

from __future__ import annotations

import struct

from tests.fuzzing.mutations import NUMBERS, Rng

_FOOTER = 48
_MASK = 0xA282EAD8


def mutated_index(content: bytes, rng: Rng) -> bytes:
    """Changes some bytes of a block, and its checksum with them."""
    changed = bytearray(content)
    blocks = _blocks(content)
    start, size = rng.choice(blocks if rng.random() < 0.9 else blocks[-1:])
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = start + rng.randrange(size)
        flipped, byte = changed[place] ^ 1 << rng.randrange(8), rng.randrange(256)
        number = varint(rng.choice(NUMBERS))  # the form that numbers have here
        new = rng.choice((bytes([flipped]), bytes([byte]), number))
        changed[place : place + len(new)] = new
    del changed[len(content) :]
    block = bytes(changed[start : start + size + 1])
    changed[start + size + 1 : start + size + 5] = struct.pack("<I", masked_crc(block))
    return bytes(changed[: len(content)])


def _blocks(content: bytes) -> list[tuple[int, int]]:
    """The place and size of each block, the one that lists the others last."""
    _, _, start, size = _read_varints(content[-_FOOTER:], 4)[0]
    block = content[start : start + size]
    (n_restarts,) = struct.unpack_from("<I", block, size - 4)
    blocks, place = [], 0
    while place < size - 4 - 4 * n_restarts:
        (_, n_key, n_value), place = _read_varints(block, 3, place)
        (first, n_bytes), _ = _read_varints(block, 2, place + n_key)
        blocks.append((first, n_bytes))
        place += n_key + n_value
    return [*blocks, (start, size)]


def _read_varints(data: bytes, n: int, place: int = 0) -> tuple[list[int], int]:
    """Some numbers from a place on, and the place after them."""
    numbers = [0] * n
    for i in range(n):
        shift = 0
        while True:
            byte = data[place]
            numbers[i] |= (byte & 0x7F) << shift
            shift, place = shift + 7, place + 1
            if byte < 0x80:
                break
    return numbers, place


def varint(number: int) -> bytes:
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*result, number])


def masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
