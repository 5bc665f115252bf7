"""Lines to texts: plain text, JSON lines, CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from keras_elmo.text.lines import MAX_LINE_BYTES, Line, read_lines
from keras_elmo.text.texts import read_texts
from keras_elmo.types import check_one_of

InputFormat = Literal["text", "jsonl", "csv", "tsv"]
"""What a corpus file holds."""

_FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
}


class Record(NamedTuple):
    """A text as it was found.

    Attributes:
        line: Where: the number of the line, or of the text in a collection, from 1.
        text: In UTF-8, valid or not.
        problem: Why there is none, or not all of it; ``None`` if all is well.
    """

    line: int
    text: bytes
    problem: str | None = None


Records = Callable[[], Iterator[Record]]
"""Reads a corpus from its beginning; it is read several times."""


def corpus_records(corpus: Any, input_format: str | None, column: str | None) -> Records:
    """How to read a corpus.

    Args:
        corpus: The path of a file, or a collection of texts.
        input_format: What a file holds; by default its suffix tells, one before ``.gz``
            too: ``.jsonl`` or ``.ndjson``, ``.csv``, ``.tsv``; all others are plain text.
        column: The name of the field that holds the text, for all but plain text.

    Returns:
        A function that reads it from its beginning.

    Raises:
        TypeError: It is no corpus.
        ValueError: The arguments do not fit each other, or there are no texts.
        FileNotFoundError: There is no such file.
    """
    if not isinstance(corpus, (str, Path)):
        if input_format is not None or column is not None:
            raise ValueError(
                "input_format and column are for files; got them with a collection of "
                "texts. Leave them out."
            )
        texts = _collection(corpus)
        return lambda: (Record(i, text) for i, text in enumerate(texts, 1))
    if corpus == "":
        raise ValueError("corpus: the name of the file is empty. Name one.")
    path = Path(corpus)
    if path.exists() and not path.is_file():
        raise ValueError(
            f"corpus: {str(path)!r} is no regular file, which could be read more than "
            "once. Name a file; the command reads a pipe as '-'."
        )
    if not path.is_file():
        raise FileNotFoundError(
            f"corpus: there is no file {str(path)!r:.200}. Put sentences into a list."
        )
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    kind = _FORMATS.get(suffixes[-1], "text") if suffixes else "text"
    if input_format is not None:
        kind = check_one_of("input_format", input_format, get_args(InputFormat))
    if (column is None) != (kind == "text"):
        raise ValueError(
            f"column must name the field that holds the text in {str(path)!r}, which is "
            f"read as {kind}."
            if column is None
            else f"column={column!r} is for JSON lines and CSV; {str(path)!r} is read as "
            "plain text. Leave it out, or say input_format."
        )
    if column is None:
        return lambda: map(_text_record, read_lines(path))
    if kind == "jsonl":
        return lambda: (_json_record(line, column) for line in read_lines(path))
    delimiter = "\t" if kind == "tsv" else ","
    return lambda: _csv_records(path, column, delimiter)


def _collection(corpus: Any) -> list[bytes]:
    try:
        return read_texts(corpus, errors="surrogatepass")
    except (TypeError, ValueError) as error:
        # The same rules, under another name.
        raise type(error)("corpus" + str(error).removeprefix("texts")) from error


def _text_record(line: Line) -> Record:
    return Record(line.number, line.data, "longer than 16 MiB" if line.is_cut else None)


def _json_record(line: Line, column: str) -> Record:
    """The field of a JSON object."""
    if line.is_cut:
        return Record(line.number, b"", "longer than 16 MiB")
    if not line.data.strip():
        return Record(line.number, b"")
    try:
        # What is not UTF-8 is found with the text.
        # Integers may be longer than Python converts; they are not needed.
        value = json.loads(line.data.decode("utf-8", "surrogateescape"), parse_int=float)
    except (ValueError, RecursionError) as error:
        return Record(line.number, b"", f"not JSON ({error})")
    if not isinstance(value, dict) or not isinstance(value.get(column), str):
        return Record(line.number, b"", f"no object with a string {column!r}")
    return Record(line.number, _field_bytes(value[column], line.data))


def _csv_records(path: Path, column: str, delimiter: str) -> Iterator[Record]:
    """The field of each row below the header."""
    # A limit for the whole process, which is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    budget = _Budget()
    rows = csv.reader(_decoded(read_lines(path), budget), delimiter=delimiter, strict=True)
    header = _header(rows, path, column)
    place = header.index(column)
    while True:
        line = rows.line_num + 1
        budget.begin(line)
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that is missing takes the lines up to the next one with it.
            last = f", up to line {rows.line_num}" if rows.line_num > line else ""
            yield Record(line, b"", f"not CSV{last} ({error})")
            continue
        if not row:
            yield Record(line, b"")
        elif len(row) != len(header):
            yield Record(line, b"", f"{len(row)} fields, not {len(header)}")
        else:
            yield Record(line, row[place].encode("utf-8", "surrogateescape"))


def _header(rows: Any, path: Path, column: str) -> Sequence[str]:
    try:
        header: list[str] = next(rows, [])
    except csv.Error as error:
        raise ValueError(
            f"corpus: the first line of {str(path)!r} must name the columns; it is not "
            f"CSV ({error})."
        ) from error
    if header.count(column) != 1:
        raise ValueError(
            f"column must be exactly one that the first line of {str(path)!r} names, "
            f"{', '.join(map(repr, header))[:200]}; got {column!r}."
        )
    return header


class _Budget:
    """How many bytes of a row have been read; a quote that is missing has no end."""

    def __init__(self) -> None:
        self.begin(1)

    def begin(self, line: int) -> None:
        """Begins a row."""
        self.line, self.n_bytes = line, 0


def _decoded(lines: Iterable[Line], budget: _Budget) -> Iterator[str]:
    for line in lines:
        budget.n_bytes += len(line.data)
        if line.is_cut or budget.n_bytes > MAX_LINE_BYTES:
            raise ValueError(
                f"corpus: the row that begins in line {budget.line} is longer than 16 MiB: "
                "this is no CSV, or a quote is missing in it."
            )
        yield line.data.decode("utf-8", "surrogateescape")


def _field_bytes(text: str, line: bytes) -> bytes:
    """The bytes of a field as they stood in its line, invalid ones too.

    JSON may also write half a pair of surrogates, which no valid bytes stand for.
    """
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        with suppress(UnicodeEncodeError):
            return text.encode("utf-8", "surrogateescape")
    return text.encode("utf-8", "surrogatepass")
