"""The words and characters of a model that has its own, and the ids of any model's tokens.

A token's row of ids has its word first, if the model knows words, and then its characters.
All ids are one higher than the row of the table they stand for, so that 0 means "no token".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.characters import (
    BEGIN_SENTENCE_ID,
    END_SENTENCE_ID,
    N_CHARACTERS,
    batch_to_character_ids,
    boundary_character_ids,
    encoded_batch,
    marked_characters,
    token_character_ids,
)

BEGIN_SENTENCE_WORD, END_SENTENCE_WORD, UNKNOWN_WORD = 0, 1, 2
UNKNOWN_CHARACTER = 0
"""Rows of the tables. Marks have the rows that they have among bytes."""

_FEWEST_WORDS = 3
_WORD_OF_BOUNDARY = {
    BEGIN_SENTENCE_ID: BEGIN_SENTENCE_WORD + 1,
    END_SENTENCE_ID: END_SENTENCE_WORD + 1,
}


@dataclasses.dataclass(frozen=True, repr=False)
class Lexicon:
    """The words and Unicode characters that a model has vectors for, in table order.

    Attributes:
        words: The begin of a sentence, its end, the unknown word, then the others; empty
            for a model that reads characters only.
        characters: Single characters; those of the rows 256 to 260 are the marks begin and
            end of sentence, begin and end of word, and padding, as among bytes. Row 0 is
            the unknown character. ``""`` is a row without a character. Empty for a model
            that reads words only.

    Raises:
        ValueError: There are too few of them, or one cannot be a line of a file.
    """

    words: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, fewest in (("words", _FEWEST_WORDS), ("characters", N_CHARACTERS)):
            entries = getattr(self, name)
            if entries and len(entries) < fewest:
                raise ValueError(
                    f"lexicon: expected at least {fewest} {name}; got {len(entries)}."
                )
            if any("\n" in entry for entry in entries):
                raise ValueError(f"lexicon: one of the {name} has a line break.")
        if not self.words and not self.characters:
            raise ValueError("lexicon: there are neither words nor characters.")

    def __repr__(self) -> str:
        return f"Lexicon({len(self.words):,} words, {len(self.characters):,} characters)"

    @cached_property
    def word_ids(self) -> dict[bytes, int]:
        """The id of each known word in UTF-8."""
        return {word.encode(): i for i, word in enumerate(self.words, start=1)}

    @cached_property
    def character_ids(self) -> dict[str, int]:
        """The id of each known character."""
        return {c: i for i, c in enumerate(self.characters, start=1) if len(c) == 1}

    @cached_property
    def boundaries(self) -> dict[bytes, int]:
        """The words that are read as boundaries, and the ids of their marks."""
        ids = (BEGIN_SENTENCE_ID, END_SENTENCE_ID) if self.characters else ()
        return {self.characters[i - 1].encode(): i for i in ids}

    def to_dict(self) -> dict[str, str]:
        """Its content in two texts, one entry a line."""
        return {"words": "\n".join(self.words), "characters": "\n".join(self.characters)}

    @classmethod
    def from_dict(cls, texts: Mapping[str, str]) -> Self:
        """The inverse of :meth:`to_dict`."""
        entries = (texts[name] for name in ("words", "characters"))
        return cls(*(tuple(text.split("\n")) if text else () for text in entries))


class TokenIds:
    """Turns tokens in UTF-8 into their rows of ids, int32 (length,).

    Args:
        max_characters: The number of a token's character ids, marks included.
        lexicon: The model's own words and characters; ``None`` for bytes.

    Attributes:
        length: The length of a row.
        largest: The largest id in each place of a row, int32 (length,).
    """

    def __init__(self, max_characters: int, lexicon: Lexicon | None = None) -> None:
        self.lexicon = lexicon
        self.has_words = lexicon is not None and bool(lexicon.words)
        self.max_characters = max_characters
        n_words = n_characters = 0
        if lexicon is None:
            n_characters = N_CHARACTERS
        else:
            n_words, n_characters = len(lexicon.words), len(lexicon.characters)
            if not n_characters:
                self.max_characters = 0
        self.length = self.has_words + self.max_characters
        self.largest = np.full(self.length, n_characters, np.int32)
        self.largest[: self.has_words] = n_words

    def __call__(self, token: bytes) -> NDArray[np.int32]:
        if self.lexicon is None:
            return token_character_ids(token, self.length)
        if not self.max_characters:
            return self._row(token)
        text = token.decode("utf-8", "replace")[: self.max_characters - 2]
        token = text.encode()
        if token in self.lexicon.boundaries:
            mark = self.lexicon.boundaries[token]
            return self._row(token, boundary_character_ids(mark, self.max_characters))
        known, unknown = self.lexicon.character_ids, UNKNOWN_CHARACTER + 1
        ids = np.array([known.get(character, unknown) for character in text], np.int32)
        return self._row(token, marked_characters(ids, self.max_characters))

    def _row(
        self, word: bytes, characters: NDArray[np.int32] | None = None
    ) -> NDArray[np.int32]:
        parts = [] if characters is None else [characters]
        if self.has_words and self.lexicon is not None:
            number = self.lexicon.word_ids.get(word, UNKNOWN_WORD + 1)
            parts.insert(0, np.array([number], np.int32))
        return np.concatenate(parts)

    def batch(self, batch: Sequence[Sequence[str]]) -> NDArray[np.int32]:
        """The ids of tokenized sentences, (batch, time, length), 0 being padding."""
        if self.lexicon is None:
            return batch_to_character_ids(batch, self.length)
        sentences = encoded_batch(batch)
        ids = np.zeros((len(sentences), max(map(len, sentences), default=0), self.length))
        rows = {token: self(token) for token in {t for row in sentences for t in row}}
        for i, tokens in enumerate(sentences):
            for j, token in enumerate(tokens):
                ids[i, j] = rows[token]
        return ids.astype(np.int32)


def boundary_ids(mark: int, length: int, has_words: bool) -> NDArray[np.int32]:
    """The row of ids (length,) of the begin or the end of a sentence."""
    ids = np.zeros(length, np.int32)
    if has_words:
        ids[0] = _WORD_OF_BOUNDARY[mark]
    if length > has_words:
        ids[has_words:] = boundary_character_ids(mark, length - has_words)
    return ids
