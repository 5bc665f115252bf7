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

_CHANGES: tuple[Callable[[bytes, Rng], bytes], ...] = (  # to some bytes of a file
    lambda part, rng: bytes([part[0] ^ 1 << rng.randrange(8)]) + part[1:] if part else b"",
    lambda part, rng: rng.choice((bytes(len(part)), b"\xff" * len(part))),
    lambda part, rng: rng.randbytes(len(part)),
    lambda part, rng: rng.randbytes(rng.choice((1, 4, 512, 5000))) + part,
    lambda part, rng: b"",
    lambda part, rng: part * rng.randint(2, 3),
)


def mutated(content: bytes, rng: Rng) -> bytes:
    """Changes a file in one to three ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place, kind = place_in(content, rng), rng.random()
        if kind < 0.5:
            end = place + rng.choice((1, 1, 2, 4, 8, 64, 512))
            changed = rng.choice(_CHANGES)(content[place:end], rng)
            content = content[:place] + changed + content[end:]
        elif kind < 0.6:
            content = content[:place]
        elif kind < 0.8:
            content = with_number(content, place, rng.choice((1, 2, 4, 8)), rng)
        else:
            content = _with_size_or_address(content, place, rng)
    return content


def place_in(content: bytes, rng: Rng) -> int:
    """A place in a file, often near its beginning or end, where formats describe it."""
    n = max(len(content), 1)
    near = rng.random()
    if near < 0.4:
        return rng.randrange(min(n, 4096))
    if near < 0.6:
        return n - 1 - rng.randrange(min(n, 1024))
    return rng.randrange(n)


def _with_size_or_address(content: bytes, start: int, rng: Rng) -> bytes:
    """Replaces eight bytes that could be a place in the file, or the size of a part."""
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


def mutated_json(content: bytes, rng: Rng) -> bytes:
    """Changes a JSON file, mostly so that it is JSON still."""
    kind = rng.random()
    if kind < 0.25:
        return mutated(content, rng)
    if kind < 0.3:
        return rng.choice(_extreme_json(content))
    tree = [json.loads(content)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        parent, key = rng.choice(places)
        other, other_key = rng.choice(places)
        odd = rng.choice((*[rng.choice(ODD_VALUES)] * 7, other[other_key], [parent[key]]))
        if rng.random() < 0.1 and parent is not tree:
            del parent[key]
        else:
            parent[key] = copy.deepcopy(odd)
    text = json.dumps(tree[0], ensure_ascii=rng.random() < 0.8)
    return text.encode("utf-8", "surrogatepass")


def _places(tree: Any) -> Any:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def _extreme_json(content: bytes) -> tuple[bytes, ...]:
    return (
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"1" * 10_000,
        b"NaN",
        content[:-1] + b"," + content[1:],  # each key twice
        content.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + content,
        content.replace(b"1", b"9" * 5000),
        b" " * (1 << 21) + content,
    )
