"""Files with a word in each line to records: CoNLL-U, and columns as of CoNLL-2003."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from keras_elmo.text.lines import MAX_LINE_BYTES, TOO_LONG, Line
from keras_elmo.text.record import Record

_COLUMNS = (
    "ID",
    "FORM",
    "LEMMA",
    "UPOS",
    "XPOS",
    "FEATS",
    "HEAD",
    "DEPREL",
    "DEPS",
    "MISC",
)
_COMMENT = re.compile(r"#\s*(sent_id|global\.columns)\s*=\s*(.*)")
# Words that CoNLL-U writes as one (1-2), and those that it only supposes (1.1).
_NO_WORD = re.compile(r"\d+[-.]\d+")
_DOCUMENT = "-DOCSTART-"
_LINE_BYTES = 64  # about what a line takes in memory besides its own


def conllu_records(lines: Iterable[Line], column: str | None = None) -> Iterator[Record]:
    """A record for each sentence of a CoNLL-U file: its words, and its ``sent_id``."""
    names: tuple[str, ...] = _COLUMNS
    for sentence in _sentences(lines):
        words: list[str] = []
        problem = sent_id = None
        for line in sentence:
            text = _decoded(line)
            if text.startswith("#"):
                comment = _COMMENT.match(text)
                if comment and comment[1] == "sent_id":
                    sent_id = comment[2].strip() or None
                elif comment:  # CoNLL-U Plus
                    names = tuple(comment[2].split())
                continue
            place, fields = _place(column or "FORM", names), text.split("\t")
            if len(fields) != len(names):
                found = f"line {line.number} has {len(fields)} columns, not {len(names)}"
                problem = problem or found
            elif "ID" in names:
                number, expected = fields[names.index("ID")], str(len(words) + 1)
                if _NO_WORD.fullmatch(number):
                    continue
                if number != expected:
                    found = f"line {line.number} has the ID {number!r:.50}, not {expected}"
                    problem = problem or found
            words.append(fields[place] if place < len(fields) else "")
        if words:
            yield _record(sentence, words, problem, sent_id)


def column_records(lines: Iterable[Line], column: str | None = None) -> Iterator[Record]:
    """A record for each sentence of a file with columns between tabs or spaces."""
    place = _place(column or "1", ())
    for sentence in _sentences(lines):
        words: list[str] = []
        problem = None
        for line in sentence:
            text = _decoded(line).strip(" \t")
            fields = text.split("\t") if "\t" in text else re.split(" +", text)
            if line is sentence[0] and fields[:1] == [_DOCUMENT]:
                continue
            if len(fields) <= place:
                problem = problem or f"line {line.number} has no column {place + 1}"
            words.append(fields[place] if place < len(fields) else "")
        if words:
            yield _record(sentence, words, problem, None)


def _sentences(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines between empty ones; of too many the first is marked as cut."""
    sentence: list[Line] = []
    n_bytes = 0
    for line in lines:
        if line.data.strip():
            n_bytes += len(line.data) + _LINE_BYTES
            if n_bytes <= MAX_LINE_BYTES or not sentence:
                sentence.append(line)
            else:
                sentence[0] = sentence[0]._replace(is_cut=True)
        elif sentence:
            yield sentence
            sentence, n_bytes = [], 0
    if sentence:
        yield sentence


def _record(
    sentence: list[Line], words: list[str], problem: str | None, sent_id: str | None
) -> Record:
    if any(line.is_cut for line in sentence):
        problem = TOO_LONG
    elif "" in words:
        problem = problem or f"word {words.index('') + 1} is empty"
    # A word may have spaces in it, and stays one.
    joined = " ".join(word.replace(" ", "\xa0") for word in words if word)
    return Record(sentence[0].number, joined, problem, sent_id)


def _place(column: str, names: tuple[str, ...]) -> int:
    """The place of a column, from its name or its number from 1."""
    if column in names:
        return names.index(column)
    number = int(column) if re.fullmatch(r"[1-9]\d{0,3}", column) else 0
    if number and (not names or number <= len(names)):
        return number - 1
    choice = f"one of {', '.join(names)}, or its number" if names else "a number from 1 on"
    raise ValueError(f"column must be {choice}; got {column!r:.100}.")


def _decoded(line: Line) -> str:
    return line.data.decode("utf-8", "surrogateescape")
