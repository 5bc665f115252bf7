"""Reads records from files: plain text, JSON Lines, CSV, and what fasta and conll read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from keras_elmo.text.conll import column_records, conllu_records
from keras_elmo.text.fasta import fasta_records
from keras_elmo.text.lines import MAX_LINE_BYTES, TOO_LONG, Line, read_lines
from keras_elmo.text.record import Record, Records
from keras_elmo.types import check_one_of

InputFormat = Literal["text", "jsonl", "csv", "tsv", "fasta", "conllu", "conll"]

_FORMATS: dict[str, InputFormat] = {
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"},
    **dict.fromkeys((".fasta", ".fa", ".faa", ".fas"), "fasta"),
    **{".conllu": "conllu", ".conll": "conll"},
}


def file_kind(path: Path, input_format: str | None = None) -> InputFormat:
    """What a file holds: what the caller says, or its suffix."""
    if input_format is not None:
        kind: Any = check_one_of("input_format", input_format, get_args(InputFormat))
        return kind
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    return _FORMATS.get(suffixes[-1], "text") if suffixes else "text"


def file_records(path: Path, name: str, kind: InputFormat, column: str | None) -> Records:
    if not path.exists():
        raise FileNotFoundError(f"{name}: there is no file {str(path)!r:.200}.")
    if not path.is_file():
        raise ValueError(
            f"{name}: {str(path)!r} is not a regular file, so that it cannot be read more "
            "than once. Pass a file."
        )
    if column is None and kind in ("jsonl", "csv", "tsv"):
        raise ValueError(
            f"column must name the field of the text in {str(path)!r}, which is read as "
            f"{kind}."
        )
    if column is not None and kind in ("text", "fasta"):
        raise ValueError(
            f"column={column!r} applies only to JSON Lines, CSV and CoNLL; {str(path)!r} "
            f"is read as {'plain text' if kind == 'text' else 'FASTA'}. Leave it out, or "
            "choose another input_format."
        )
    if kind == "fasta":
        return lambda: fasta_records(read_lines(path))
    if kind in ("conllu", "conll"):
        read = conllu_records if kind == "conllu" else column_records
        return lambda: read(read_lines(path), column)
    if column is None:
        return lambda: map(_text_record, read_lines(path))
    if kind == "jsonl":
        return lambda: (_json_record(line, column) for line in read_lines(path))
    delimiter = "\t" if kind == "tsv" else ","
    return lambda: _csv_records(path, column, delimiter)


def _text_record(line: Line) -> Record:
    return Record(line.number, _decoded(line.data), TOO_LONG if line.is_cut else None)


def _json_record(line: Line, column: str) -> Record:
    if line.is_cut:
        return Record(line.number, "", TOO_LONG)
    if not line.data.strip():
        return Record(line.number, "")
    try:
        # Python refuses to convert very long integers, which are not needed here.
        value = json.loads(_decoded(line.data), parse_int=float)
    except (ValueError, RecursionError) as error:
        return Record(line.number, "", f"not JSON ({error})")
    if not isinstance(value, dict) or not isinstance(value.get(column), str):
        return Record(line.number, "", f"no object with a string {column!r}")
    return Record(line.number, value[column])


def _csv_records(path: Path, column: str, delimiter: str) -> Iterator[Record]:
    # The limit applies to the whole process, so never lower it.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    start = [1]  # the first line of the row
    rows = csv.reader(_row_lines(path, start), delimiter=delimiter, strict=True)
    try:
        header: list[str] = next(rows, [])
    except csv.Error as error:
        raise ValueError(
            f"{str(path)!r}: its first line must name the columns; it is not CSV ({error})."
        ) from error
    if header.count(column) != 1:
        raise ValueError(
            f"column must name exactly one column in the first line of {str(path)!r}, "
            f"{', '.join(map(repr, header))[:200] or 'which is empty'}; got {column!r}."
        )
    place = header.index(column)
    while True:
        number = start[0] = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            # After a missing quote, the row extends to the next quote.
            last = f", up to line {rows.line_num}" if rows.line_num > number else ""
            yield Record(number, "", f"not CSV{last} ({error})")
            continue
        if not row:
            yield Record(number, "")
        elif len(row) != len(header):
            yield Record(number, "", f"{len(row)} fields, not {len(header)}")
        else:
            yield Record(number, row[place])


def _row_lines(path: Path, row_start: list[int]) -> Iterator[str]:
    """Lines for the CSV reader, with a limit per row in case a quote is missing."""
    n_bytes = 0
    for number, data, is_cut in read_lines(path):
        n_bytes = len(data) + (0 if number == row_start[0] else n_bytes)
        if is_cut or n_bytes > MAX_LINE_BYTES:
            raise ValueError(
                f"{str(path)!r}: the row that starts in line {row_start[0]:,} is "
                f"{TOO_LONG}. The file is not CSV, or a quote is missing."
            )
        yield _decoded(data) + "\n"


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
