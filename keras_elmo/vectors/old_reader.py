"""The interface of ``keras_elmo.text.reader`` on today's readers; goes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from keras_elmo.errors import BadLine, BadLinesError
from keras_elmo.text.records import corpus_records
from keras_elmo.text.sentences import MAX_BAD_LINES_KEPT, OnError, make_sentence

__all__ = ["OnError", "Sentence", "Sentences", "read_sentences"]


class Sentence(NamedTuple):
    """A text, and its tokens in UTF-8, joined by single spaces."""

    number: int
    text: str
    tokens: bytes
    n_tokens: int


class Sentences:
    """Reads the texts from the beginning each time."""

    def __init__(
        self,
        records: Any,
        is_file: bool,
        on_error: OnError,
        max_tokens: int | None,
        report: Callable[[BadLine], object] | None,
    ) -> None:
        self.settings = (records, is_file, on_error, max_tokens, report)

    def __iter__(self) -> Iterator[Sentence]:
        records, is_file, on_error, max_tokens, report = self.settings
        bad: list[BadLine] = []
        for record in records():
            most = 1 << 62 if max_tokens is None else max_tokens
            found, problem = make_sentence(record, most)
            text, tokens, n_tokens = found.text, found.tokens, found.n_tokens
            if not is_file:
                text = record.text.decode("utf-8", "replace")
                pieces = [piece for piece in text.encode().split(b" ") if piece]
                if problem is None or "tokens" in problem or problem == "empty":
                    problem = None
                    if len(pieces) > most:
                        problem = f"{len(pieces):,} tokens, more than {most:,}"
                tokens, n_tokens = b" ".join(pieces[:most]), min(len(pieces), most)
            if problem is not None and problem != "empty":
                bad.append(BadLine(record.line, problem))
                if report is not None:
                    report(bad[-1])
                if on_error == "skip":
                    continue
            if on_error != "fail" or not bad:
                yield Sentence(record.line, text, tokens, n_tokens)
        if bad and on_error == "fail":
            raise BadLinesError(bad[:MAX_BAD_LINES_KEPT], len(bad))


def read_sentences(
    source: Any,
    *,
    name: str = "texts",
    input_format: str | None = None,
    column: str | None = None,
    on_error: OnError = "fail",
    max_tokens: int | None = None,
    report: Callable[[BadLine], object] | None = None,
) -> Sentences:
    if isinstance(source, str):
        raise TypeError(f"{name} must be a list; got the single text {source!r:.100}.")
    records = corpus_records(source, input_format, column)
    is_file = isinstance(source, Path)
    return Sentences(records, is_file, on_error, max_tokens, report)
