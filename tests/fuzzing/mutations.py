"""Changes to a file that know nothing of its format, and one for JSON."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable
from typing import Any

# What counters, sizes and addresses are replaced by.
NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000),
    *(1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 40),
    *((1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 261, 262, 65536, 65537, 10**6, 10**18),
    *(10**400, -(2**63), 0.5, -0.0, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", "0", "relu", "../../etc/passwd", "\0", "\ud800", "x" * 70_000),
    *([], [[]], [None], {}, {"": {}}, [[1, 2]], [[0, 0]], [[1, 2, 3]], ["a", "b"]),
)

Rng = random.Random


def mutated(content: bytes, rng: Rng) -> bytes:
    """Changes a file in one to three ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(_CHANGES)(content, rng)
    return content


def place_in(content: bytes, rng: Rng) -> int:
    """A place in a file; beginnings and ends, where formats tell of themselves, often."""
    n = max(len(content), 1)
    near = rng.random()
    if near < 0.4:
        return rng.randrange(min(n, 4096))
    if near < 0.6:
        return n - 1 - rng.randrange(min(n, 1024))
    return rng.randrange(n)


def _flip_bits(content: bytes, rng: Rng) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[place_in(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _run_of_bytes(content: bytes, rng: Rng) -> bytes:
    start, n = place_in(content, rng), rng.randint(1, 64)
    run = rng.choice((bytes(n), b"\xff" * n, rng.randbytes(n)))
    return content[:start] + run + content[start + n :]


def _truncate(content: bytes, rng: Rng) -> bytes:
    return content[: place_in(content, rng)]


def _insert(content: bytes, rng: Rng) -> bytes:
    start = place_in(content, rng)
    n = rng.choice((1, 2, 4, 8, 512, 5000))
    return content[:start] + rng.randbytes(n) + content[start:]


def _delete(content: bytes, rng: Rng) -> bytes:
    start = place_in(content, rng)
    return content[:start] + content[start + rng.choice((1, 2, 4, 8, 512)) :]


def _duplicate(content: bytes, rng: Rng) -> bytes:
    start, n = place_in(content, rng), rng.choice((8, 64, 512, 4096))
    block = content[start : start + n]
    return content[:start] + block * rng.randint(2, 3) + content[start + n :]


def _swap(content: bytes, rng: Rng) -> bytes:
    n = rng.choice((4, 8, 40, 512))
    first, second = sorted((place_in(content, rng), place_in(content, rng)))
    if second < first + n:
        return content
    one, other = content[first : first + n], content[second : second + n]
    return (
        content[:first] + other + content[first + n : second] + one + content[second + n :]
    )


def _set_number(content: bytes, rng: Rng) -> bytes:
    return with_number(content, place_in(content, rng), rng.choice((1, 2, 4, 8)), rng)


def _set_size_or_address(content: bytes, rng: Rng) -> bytes:
    """Replaces eight bytes that could be a place in the file, or the size of a part."""
    start = place_in(content, rng)
    for place in range(start, min(start + 2000, len(content) - 7)):
        (value,) = struct.unpack_from("<Q", content, place)
        if 0 < value <= len(content):
            other = rng.choice((value + 1, value - 1, value * 2, value << 24, 0, 1 << 62))
            return content[:place] + struct.pack("<Q", other) + content[place + 8 :]
    return content


def with_number(content: bytes, place: int, width: int, rng: Rng) -> bytes:
    """Replaces an integer of ``width`` bytes at a place by one that is rarely expected."""
    number = rng.choice((*NUMBERS, len(content), len(content) - place)) % (1 << 8 * width)
    order = "little" if rng.random() < 0.8 else "big"
    return content[:place] + number.to_bytes(width, order) + content[place + width :]


_CHANGES: tuple[Callable[[bytes, Rng], bytes], ...] = (
    _flip_bits,
    _flip_bits,
    _run_of_bytes,
    _truncate,
    _insert,
    _delete,
    _duplicate,
    _swap,
    _set_number,
    _set_number,
    _set_size_or_address,
    _set_size_or_address,
)


def mutated_json(content: bytes, rng: Rng) -> bytes:
    """Changes a JSON file, mostly so that it is JSON still."""
    kind = rng.random()
    if kind < 0.25:
        return mutated(content, rng)
    if kind < 0.3:
        return _extreme_json(content, rng)
    tree = [json.loads(content)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _change_value(tree, rng)
    return json.dumps(tree[0], ensure_ascii=rng.random() < 0.8).encode(
        "utf-8", "surrogatepass"
    )


def _change_value(tree: list[Any], rng: Rng) -> None:
    places = list(_places(tree))
    parent, key = rng.choice(places)
    how = rng.random()
    if how < 0.7:
        parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    elif how < 0.8 and parent is not tree:
        del parent[key]
    elif how < 0.9:
        other, other_key = rng.choice(places)
        parent[key] = copy.deepcopy(other[other_key])
    else:
        parent[key] = [parent[key]]


def _places(tree: Any) -> Any:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def _extreme_json(content: bytes, rng: Rng) -> bytes:
    deep = 100_000
    return rng.choice(
        (
            b"[" * deep + b"]" * deep,
            b'{"a":' * deep + b"1" + b"}" * deep,
            b"1" * 10_000,
            b"-" * 10,
            b"NaN",
            b'"' + b"\\u0000" * 1000 + b'"',
            content[:-1] + b"," + content[1:],  # each key twice
            content.decode().encode("utf-16"),
            b"\xef\xbb\xbf" + content,
            content.replace(b"1", b"9" * 5000),
            b" " * (1 << 21) + content,
        )
    )
