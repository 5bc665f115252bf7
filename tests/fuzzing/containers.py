"""Changes inside archives, with checksums that are right again."""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
from collections.abc import Callable, Mapping

from tests.fuzzing.mutations import NUMBERS, Rng, mutated, with_number

# The numbers in the headers of a zip archive, after their signatures: places, widths.
_ZIP_FIELDS = {
    b"PK\x01\x02": (
        *((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2)),
        *((32, 2), (38, 4), (42, 4)),
    ),
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x05\x06": ((4, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}

# The fields of a tar header: places, widths.
_TAR_FIELDS = (
    *((0, 100), (100, 8), (108, 8), (124, 12), (136, 12), (156, 1), (157, 100)),
    *((257, 6), (263, 2), (329, 8), (345, 155)),
)
_TAR_TYPES = b"\x000123456789gxLKSDNVXAZ"
_BLOCK = 512

_SHAPES = (
    *("()", "(-1,)", "(-5, -7)", "(1.5,)", "None", "(True,)", "('a',)", "(" * 300),
    *(f"({'9' * 5000},)", "(4, 2, 3, 0)", f"({'1,' * 100})"),
)
_DTYPES = (
    *("'|O'", "'<f2'", "'>f4'", "'<i8'", "'|S2147483647'", "'<U99999999'", "''", "'<c8'"),
    *("[('a', '<f4')]", "'<m8[ns]'", "3", "'f4,(9999999,)f4'", "'V4'", "'<g'", "'f4,'"),
    *("'((((f4'", "[]", "'<f4\\x00'", "('<f4', (2, 2))", "'<f3'", "'b'"),
)


def zip_of(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def mutated_zip(content: bytes, rng: Rng) -> bytes:
    """Changes the bytes of a zip archive, half the time a number in its headers."""
    if rng.random() < 0.5:
        return mutated(content, rng)
    for _ in range(rng.choice((1, 1, 2))):
        signature = rng.choice(tuple(_ZIP_FIELDS))
        if headers := _all_places(content, signature):
            field, width = rng.choice(_ZIP_FIELDS[signature])
            content = with_number(content, rng.choice(headers) + field, width, rng)
    return content


def zip_or_member(
    content: bytes, rng: Rng, change: Mapping[str, Callable[[bytes, Rng], bytes]]
) -> tuple[bytes, bool]:
    """Changes an archive, or a member of it, and reports whether its checksums fit.

    ``change`` is how to change the members, by the end of their names.
    """
    if rng.random() < 0.5:
        return mutated_zip(content, rng), False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        method = archive.infolist()[0].compress_type
    name = rng.choice([name for name in files if name.endswith(tuple(change))])
    how = next(how for end, how in change.items() if name.endswith(end))
    if rng.random() < 0.05:
        del files[name]
    else:
        files[name] = how(files[name], rng)
    return zip_of(files, method), True


def mutated_tar_gz(content: bytes, rng: Rng) -> tuple[bytes, bool]:
    """Changes a ``.tar.gz`` archive, and reports whether gzip's checksum fits."""
    if rng.random() < 0.4:
        return mutated(content, rng), False
    inner = gzip.decompress(content)
    inner = (mutated if rng.random() < 0.3 else _mutated_tar_header)(inner, rng)
    if rng.random() < 0.05:
        return gzip.compress(inner[:1000], 1) + gzip.compress(inner[1000:], 1), True
    return gzip.compress(inner, 1), True


def _mutated_tar_header(content: bytes, rng: Rng) -> bytes:
    """Changes a field of a tar header, and its checksum with it."""
    headers = [p - 257 for p in _all_places(content, b"ustar") if p % _BLOCK == 257]
    start = rng.choice(headers)
    header = bytearray(content[start : start + _BLOCK])
    place, width = rng.choice(_TAR_FIELDS)
    number = rng.choice(NUMBERS)
    values = (
        b"%o" % number,
        b"\x80" + number.to_bytes(11, "big")[12 - width :],  # too large for octal digits
        *(b"\xff" * width, b"-1", b"../../evil", b"/evil", b"a/" * 50, b""),
        rng.randbytes(width),
    )
    value = rng.choice(_TAR_TYPES).to_bytes() if width == 1 else rng.choice(values)
    header[place : place + width] = value[:width].ljust(width, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return content[:start] + bytes(header) + content[start + _BLOCK :]


def mutated_gzip(content: bytes, rng: Rng) -> bytes:
    """Changes gzip, or what is in it, so that the checksum fits."""
    if rng.random() < 0.5:
        return mutated(content, rng)
    return gzip.compress(mutated(gzip.decompress(content), rng), 1)


def mutated_npy(content: bytes, rng: Rng) -> bytes:
    """Changes the bytes of a NumPy file, or its header so that its length fits."""
    if rng.random() < 0.4 or content[:6] != b"\x93NUMPY":
        return mutated(content, rng)
    (n,) = struct.unpack_from("<H", content, 8)
    header, rest = content[10 : 10 + n], content[10 + n :]
    text = header.decode("latin1")
    shape = text[text.index("(") : text.index(")") + 1]
    old, new = rng.choice(
        (
            (shape, rng.choice(_SHAPES)),
            (shape, f"({rng.choice(NUMBERS)},)"),
            (shape, f"({rng.choice(NUMBERS)}, {rng.choice(NUMBERS)})"),
            (f"'{text.split(chr(39))[3]}'", rng.choice(_DTYPES)),
            ("False", "True"),
            ("shape", "shapes"),
            ("{", "{" * 500),
            (text, text[: rng.randrange(n)]),
        )
    )
    header = text.replace(old, new).encode("latin1")
    return content[:8] + struct.pack("<H", len(header) % 65536) + header + rest


def _all_places(content: bytes, part: bytes) -> list[int]:
    return [match.start() for match in re.finditer(re.escape(part), content)]
