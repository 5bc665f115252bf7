"""Texts to sentences: what is done with those that cannot be embedded as they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from keras_elmo.errors import BadLine, BadLinesError
from keras_elmo.text.records import Record, Records

OnError = Literal["fail", "repair", "skip"]
"""What is done with bad lines."""

MAX_BAD_LINES_KEPT = 20

logger = logging.getLogger("keras_elmo")


class Sentence(NamedTuple):
    """A sentence to embed.

    Attributes:
        line: Where it was found, from 1.
        text: As it was found, without the white space around it.
        tokens: Its tokens in UTF-8, joined by single spaces.
        n_tokens: How many.
    """

    line: int
    text: str
    tokens: bytes
    n_tokens: int


def make_sentence(record: Record, max_tokens: int) -> tuple[Sentence, str | None]:
    """Splits a text at white space, as AllenNLP's command did.

    Args:
        record: The text.
        max_tokens: The most tokens that are kept.

    Returns:
        The sentence, made to fit where it did not, and what was wrong with it: ``None`` if
        all is well.
    """
    problem = record.problem
    try:
        text = record.text.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = problem or f"not UTF-8 (byte {error.start + 1})"
        text = record.text.decode("utf-8", "replace")
    text = text.strip()
    tokens = text.split(maxsplit=max_tokens)
    if len(tokens) > max_tokens:
        n_tokens = len(text.split())
        problem = problem or f"{n_tokens:,} tokens, more than {max_tokens:,}"
        del tokens[max_tokens:]
    if not tokens:
        problem = problem or "empty"
    joined = " ".join(tokens).encode("utf-8")
    return Sentence(record.line, text, joined, len(tokens)), problem


def read_sentences(
    records: Records,
    on_error: OnError,
    max_tokens: int,
    *,
    as_keys: bool = False,
    report: Callable[[BadLine], None] | None = None,
) -> Iterator[Sentence]:
    """The sentences of a corpus, those of bad lines as ``on_error`` says.

    Args:
        records: The corpus.
        on_error: ``"fail"``, ``"repair"`` or ``"skip"``.
        max_tokens: More tokens make a line bad.
        as_keys: Whether texts must be fit for the names of HDF5 datasets, and no two equal.
        report: Called with each bad line.

    Yields:
        The sentences. ``"repair"`` gives one for each record: what is not UTF-8 becomes
        U+FFFD, long ones end after ``max_tokens``, and what cannot be read is empty.

    Raises:
        BadLinesError: There are bad lines, with ``"fail"``; or texts are no keys, with
            ``"repair"``, which cannot help there.
    """
    n_bad = 0
    bad: list[BadLine] = []
    seen: set[str] = set()
    for record in records():
        sentence, problem = make_sentence(record, max_tokens)
        is_repaired = on_error == "repair"
        if as_keys:
            unfit = _why_no_key(sentence.text, seen)
            seen.add(sentence.text)
            if unfit is not None:
                # There is nothing to put in the place of a name.
                problem, is_repaired = unfit, False
        if problem is None:
            yield sentence
            continue
        found = BadLine(record.line, problem)
        if report is not None:
            report(found)
        if is_repaired:
            yield sentence
        elif on_error != "skip":
            n_bad += 1
            bad += [found] * (n_bad <= MAX_BAD_LINES_KEPT)
    if bad:
        raise BadLinesError(bad, n_bad)


def log_bad_line(bad: BadLine, on_error: OnError) -> None:
    """Tells of a bad line by a warning of the logger ``keras_elmo``."""
    done = {"skip": "; left out", "repair": "; repaired", "fail": ""}[on_error]
    logger.warning("line %d: %s%s", bad.line, bad.problem, done)


def _why_no_key(text: str, others: set[str]) -> str | None:
    """Why a text cannot be the name of a dataset, if so."""
    if not text:
        return "empty, which is no name of a dataset"
    if "/" in text or "\0" in text or text == ".":
        return "with a '/', '.' or NUL that the name of a dataset cannot have"
    return "the same as a sentence before" if text in others else None
