"""FASTA files to records: proteins and their ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from keras_elmo.text.lines import MAX_LINE_BYTES, TOO_LONG, Line
from keras_elmo.text.record import Record

# Letters of residues, "*" for a stop, and "-" for a gap.
_NO_RESIDUE = re.compile(r"[^A-Z*-]")


def fasta_records(lines: Iterable[Line]) -> Iterator[Record]:
    """A record for each sequence, from its lines of any number.

    Its id is the first word after ``>``. Lower case, which only marks regions, becomes
    upper case; a ``*`` at the end of a sequence, which is a stop and not a residue, and
    lines that start with ``;``, are left out.
    """
    header: Line | None = None
    sequence = bytearray()
    n_bytes = 0
    for line in lines:
        if line.data.startswith(b">"):
            yield from _record(header, bytes(sequence), n_bytes)
            header, sequence, n_bytes = line, bytearray(), 0
        elif line.data.strip() and not line.data.startswith(b";"):
            if header is None:
                header = Line(line.number, b"")  # an id is missing
            n_bytes += len(line.data) + line.is_cut
            if n_bytes <= MAX_LINE_BYTES:
                sequence += b"".join(line.data.split())
    yield from _record(header, bytes(sequence), n_bytes)


def _record(header: Line | None, sequence: bytes, n_bytes: int) -> Iterator[Record]:
    if header is None:
        return
    words = header.data[1:].decode("utf-8", "surrogateescape").split()
    text = sequence.upper().removesuffix(b"*").decode("utf-8", "surrogateescape")
    problem = None
    if n_bytes > MAX_LINE_BYTES or header.is_cut:
        problem = TOO_LONG
    elif not words:
        problem = "no id after '>'" if header.data else "no line with '>' and an id"
    elif wrong := _NO_RESIDUE.search(text):
        problem = f"{wrong[0]!r} in the sequence, which is not a residue"
    yield Record(header.number, text, problem, words[0] if words else "")
