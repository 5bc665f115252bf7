"""The reader of texts: collections, columns and files to sentences of tokens."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from keras_elmo.errors import BadLine, BadLinesError
from keras_elmo.text.record import Record, Records
from keras_elmo.text.records import InputFormat, file_kind, file_records
from keras_elmo.text.sources import source_values
from keras_elmo.text.tokenization import split_text
from keras_elmo.types import Split, check_one_of, check_positive_integer

OnError = Literal["fail", "repair", "skip"]
"""What to do with bad lines: raise an error, keep the readable part, or skip them."""

MAX_BAD_LINES_KEPT = 20

_DONE = {"fail": "", "repair": "; repaired", "skip": "; left out"}

logger = logging.getLogger("keras_elmo")


class Sentence(NamedTuple):
    """A text and its tokens."""

    number: int  # of its line in the file, or its position in the collection, from 1
    text: str  # as found; in files, without surrounding white space
    tokens: bytes  # in UTF-8, joined by single spaces
    n_tokens: int
    has_id: bool = False  # then that is its text
    place_of: Callable[[int], str] = "line {}".format  # names a number, for messages

    @property
    def place(self) -> str:
        return self.place_of(self.number)


class _Part(NamedTuple):  # a file or a collection
    records: Records
    split: Split
    at_any_space: bool  # lines of text, whose white space is of any kind
    place: Callable[[int], str]  # names a text, for messages


class Sentences:
    """The sentences of a source; each loop reads them from the start.

    The first complete loop reports all bad lines. With ``on_error="fail"``, each loop ends
    with a :class:`~keras_elmo.errors.BadLinesError` that lists them.
    """

    def __init__(
        self,
        parts: list[_Part],
        on_error: OnError,
        max_tokens: int | None,
        report: Callable[[BadLine], object] | None,
    ) -> None:
        self._parts = parts
        self._on_error = on_error
        self._max_tokens = max_tokens
        self._report = report or self._log

    def __iter__(self) -> Iterator[Sentence]:
        n_bad = 0
        first_bad: list[BadLine] = []
        for records, split, at_any_space, place in self._parts:
            for record in records():
                sentence, problem = make_sentence(
                    record, at_any_space, split, self._max_tokens
                )
                if problem is not None:
                    n_bad += 1
                    bad = BadLine(record.number, problem, place(record.number))
                    self._report(bad)
                    if n_bad <= MAX_BAD_LINES_KEPT:
                        first_bad.append(bad)
                if problem is None or self._on_error == "repair":
                    yield sentence._replace(place_of=place)
        self._report = lambda bad: None
        if n_bad and self._on_error == "fail":
            raise BadLinesError(first_bad, n_bad)

    def _log(self, bad: BadLine) -> None:
        logger.warning("%s%s", bad, _DONE[self._on_error])


def read_sentences(
    source: Any,
    *,
    name: str = "texts",
    input_format: str | None = None,
    column: str | None = None,
    on_error: OnError = "fail",
    max_tokens: int | None = None,
    split: Split | None = None,
    report: Callable[[BadLine], object] | None = None,
) -> Sentences:
    r"""Reads texts from all kinds of sources, with the same rules.

    - In files, a byte order mark is dropped, gzip is recognized by its first bytes, only
      ``"\n"`` or ``"\r\n"`` ends a line, and ``split="space"`` splits at any white space.
    - Strings in memory are used unchanged, and split as the layer splits them.
    - A FASTA file has one text per sequence, named by its id, and split into characters by
      default; the default limit of tokens is larger.
    - CoNLL-U and CoNLL files have the words of a column, without CoNLL-U's multi-word
      ranges and empty nodes; a ``sent_id`` names its sentence. ``split`` has no effect.
    - Empty lines and strings are sentences without tokens. Missing values are errors.
    - A bad line is not UTF-8, longer than 16 MiB or ``max_tokens``, or not JSON or CSV
      with the column. ``on_error="fail"`` raises an error that lists bad lines, ``"skip"``
      leaves them out, and ``"repair"`` keeps the readable part: U+FFFD for bytes that are
      not UTF-8, the first ``max_tokens`` tokens, or no tokens.

    Messages call the texts ``name``, the caller's argument. ``report`` is called with each
    bad line; by default the logger ``keras_elmo`` warns about them. Files are streamed.
    """
    check_one_of("on_error", on_error, get_args(OnError))
    if split is not None:
        check_one_of("split", split, get_args(Split))
    if max_tokens is not None:
        check_positive_integer("max_tokens", max_tokens)
    values = source_values(source, name)
    paths = [value for value in values if isinstance(value, Path)]
    if not paths and (input_format is not None or column is not None):
        raise ValueError(
            f"input_format and column apply only to files; {name} is a collection of "
            "texts. Leave them out."
        )
    parts = [_file(path, name, input_format, column, split) for path in paths]
    parts = parts or [_collection(values, name, split or "space")]
    return Sentences(parts, on_error, max_tokens, report)


def kinds_of(source: Any, input_format: str | None = None) -> set[InputFormat]:
    """What the files of a source hold; nothing for texts in memory."""
    values = source if isinstance(source, list | tuple) else [source]
    return {file_kind(Path(v), input_format) for v in values if isinstance(v, os.PathLike)}


def _file(
    path: Path,
    name: str,
    input_format: str | None,
    column: str | None,
    split: Split | None,
) -> _Part:
    kind = file_kind(path, input_format)
    records = file_records(path, name, kind, column)
    if kind in ("conllu", "conll"):
        split = "space"  # where the reader of the file puts one
    split = split or ("character" if kind == "fasta" else "space")
    at_any_space = kind not in ("conllu", "conll")
    return _Part(
        records, split, at_any_space, lambda number: f"{str(path)!r}, line {number}"
    )


def _collection(values: Any, name: str, split: Split) -> _Part:
    def records() -> Iterator[Record]:
        for number, value in enumerate(values, 1):
            is_text = isinstance(value, str)
            text = value if is_text else value.decode("utf-8", "surrogateescape")
            yield Record(number, text)

    return _Part(records, split, False, lambda number: f"{name}[{number - 1}]")


def make_sentence(
    record: Record, at_any_space: bool, split: Split, max_tokens: int | None
) -> tuple[Sentence, str | None]:
    """Splits a text into tokens: the sentence, repaired, and what was wrong with it."""
    _, text, problem, name = record
    text, problem = _repaired(text, problem)
    if name is not None:
        name, problem = _repaired(name, problem)
    if at_any_space:
        text = text.strip()
    is_at_any_space = at_any_space and split == "space"
    tokens = text.split() if is_at_any_space else split_text(text, split)
    if max_tokens is not None and len(tokens) > max_tokens:
        problem = problem or f"{len(tokens):,} tokens, more than {max_tokens:,}"
        del tokens[max_tokens:]
    joined = " ".join(tokens).encode("utf-8")
    has_id = name is not None
    text = text if name is None else name
    return Sentence(record.number, text, joined, len(tokens), has_id), problem


def _repaired(text: str, problem: str | None) -> tuple[str, str | None]:
    """A text that UTF-8 has a form for, and what was wrong with it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        n_bytes = len(text[: error.start].encode("utf-8"))
        problem = problem or f"not UTF-8 (byte {n_bytes + 1})"
        # UTF-16 can encode lone surrogates, and its decoder recognizes them.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text, problem
