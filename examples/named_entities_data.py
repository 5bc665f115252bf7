"""Sentences whose tokens are labelled, from files as those of the WNUT-17 task."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import NamedTuple

from imdb_data import DataError

FILES = {
    "train": "wnut17train.conll",
    "dev": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}
ADDRESS = "https://noisy-text.github.io/2017/emerging-rare-entities.html"
OUTSIDE = "O"

_TAG = re.compile(rf"{OUTSIDE}|[BI]-\S+")


class Sentence(NamedTuple):
    """The tokens of a sentence, and a tag for each.

    Attributes:
        tokens: Words and punctuation marks, without spaces.
        tags: ``B-person`` begins an entity of the type "person", ``I-person`` goes on with
            it, and ``O`` is outside of all.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]


def read_parts(folder: Path, limit: int | None, seed: int) -> dict[str, list[Sentence]]:
    """Reads the training, development and test sentences.

    Args:
        folder: Where the three files of the task are.
        limit: At most so many sentences of each, chosen at random; ``None`` for all.
        seed: Of that choice.

    Returns:
        The sentences of "train", "dev" and "test".

    Raises:
        DataError: A file is missing, or is something else.
        OSError: A file cannot be read.
    """
    if not folder.is_dir():
        raise DataError(
            f"There is no directory {str(folder)!r}. Give the one with the files of "
            f"WNUT-17 ({ADDRESS})."
        )
    missing = [name for name in FILES.values() if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"The directory {str(folder)!r} lacks {', '.join(missing)}. Give the one with "
            f"the files of WNUT-17 ({ADDRESS})."
        )
    parts = {part: read_sentences(folder / name) for part, name in FILES.items()}
    if limit is None:
        return parts
    choose = random.Random(seed).sample
    return {part: choose(s, min(limit, len(s))) for part, s in parts.items()}


def read_sentences(path: Path) -> list[Sentence]:
    """Reads a file of lines ``token<TAB>tag``, with an empty line behind each sentence.

    Args:
        path: The file, UTF-8.

    Returns:
        The sentences in their order.

    Raises:
        DataError: The file is something else; the message names the line.
        OSError: The file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"The file {str(path)!r} is not UTF-8: {error}.") from error
    sentences: list[Sentence] = []
    tokens: list[str] = []
    tags: list[str] = []
    # Not splitlines: it takes some characters of tokens for the ends of lines.
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip():
            token, tag = _parsed(line.removesuffix("\r"), f"{str(path)!r}, line {number}")
            tokens.append(token)
            tags.append(tag)
        elif tokens:
            sentences.append(Sentence(tuple(tokens), tuple(tags)))
            tokens, tags = [], []
    if not sentences:
        raise DataError(f"The file {str(path)!r} has no sentences.")
    return sentences


def _parsed(line: str, place: str) -> tuple[str, str]:
    fields = line.split("\t")
    if len(fields) != 2:
        raise DataError(
            f"{place}: expected a token, a tab and a tag; got {len(fields)} fields in "
            f"{line!r:.100}."
        )
    token, tag = fields
    if not token or " " in token:
        raise DataError(
            f"{place}: a token must not be empty or have spaces; got {token!r}."
        )
    if not _TAG.fullmatch(tag):
        raise DataError(
            f"{place}: a tag must be O, or B- or I- and a type; got {tag!r:.100}."
        )
    return token, tag
