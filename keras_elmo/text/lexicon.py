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

UNKNOWN_CHARACTER = 0
"""The row of all characters that are not known."""


@dataclasses.dataclass(frozen=True, repr=False)
class Lexicon:
    """The words and Unicode characters that a model has vectors for, in table order.

    Attributes:
        words: Empty for a model that reads characters only.
        characters: Single characters; those of the rows 256 to 260 are the marks begin and
            end of sentence, begin and end of word, and padding, as among bytes. Row 0 is
            the unknown character. ``""`` is a row without a character. Empty for a model
            that reads words only.
        special: Those of the words that stand for the start of a sentence, its end and
            words that are not known.

    Raises:
        ValueError: A special word is missing, there are too few characters, or an entry
            cannot be a line of a file.
    """

    words: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()
    special: tuple[str, str, str] = ("<S>", "</S>", "<UNK>")

    def __post_init__(self) -> None:
        for name in ("words", "characters", "special"):
            entries = getattr(self, name)
            if not isinstance(entries, tuple) or not all(
                isinstance(entry, str) and "\n" not in entry for entry in entries
            ):
                raise ValueError(
                    f"lexicon: {name} must be a tuple of strings without line breaks."
                )
        if not self.words and not self.characters:
            raise ValueError("lexicon: there are neither words nor characters.")
        if self.characters and len(self.characters) < N_CHARACTERS:
            raise ValueError(
                f"lexicon: expected at least {N_CHARACTERS} characters; got "
                f"{len(self.characters)}."
            )
        missing = {*self.special} - {*self.words} if self.words else ()
        if missing or len(self.special) != 3:
            raise ValueError(
                "lexicon: the words must include those for the start of a sentence, its "
                f"end and unknown words, {', '.join(self.special):.200}; missing: "
                f"{', '.join(sorted(missing)):.200}."
            )

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

    @cached_property
    def special_ids(self) -> tuple[int, int, int]:
        """The ids of the special words."""
        begin, end, unknown = (self.word_ids[word.encode()] for word in self.special)
        return begin, end, unknown

    def to_dict(self) -> dict[str, str]:
        """Its content as texts, one entry a line."""
        return {name: "\n".join(getattr(self, name)) for name in _PARTS}

    @classmethod
    def from_dict(cls, texts: Mapping[str, str]) -> Self:
        """The inverse of :meth:`to_dict`; a ValueError for anything else."""
        if not isinstance(texts, Mapping) or texts.keys() != set(_PARTS):
            raise ValueError(f"lexicon: expected an object with {', '.join(_PARTS)}.")
        if not all(isinstance(text, str) for text in texts.values()):
            raise ValueError(f"lexicon: {', '.join(_PARTS)} must be texts.")
        parts = {name: tuple(text.split("\n")) for name, text in texts.items() if text}
        return cls(**parts)  # type: ignore[arg-type]


_PARTS = ("words", "characters", "special")


class TokenIds:
    """Turns tokens in UTF-8 into their rows of ids, int32 (length,).

    Args:
        max_characters: The number of a token's character ids, marks included.
        lexicon: The model's own words and characters; ``None`` for bytes.

    Attributes:
        length: The length of a row.
        largest: The largest id in each place of a row, int32 (length,).
        boundary_words: The ids of the words start and end of sentence; ``None`` without
            words.
    """

    def __init__(self, max_characters: int, lexicon: Lexicon | None = None) -> None:
        self.lexicon = lexicon
        self.boundary_words: tuple[int, int] | None = None
        self.max_characters = max_characters
        n_words = n_characters = 0
        if lexicon is None:
            n_characters = N_CHARACTERS
        else:
            n_words, n_characters = len(lexicon.words), len(lexicon.characters)
            if n_words:
                self.boundary_words = lexicon.special_ids[:2]
            if not n_characters:
                self.max_characters = 0
        n_word_ids = int(n_words > 0)
        self.length = n_word_ids + self.max_characters
        self.largest = np.full(self.length, n_characters, np.int32)
        self.largest[:n_word_ids] = n_words

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
        if self.lexicon is not None and self.lexicon.words:
            number = self.lexicon.word_ids.get(word, self.lexicon.special_ids[2])
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


def boundary_ids(
    length: int, boundary_words: tuple[int, int] | None
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The rows of ids (length,) of the start and of the end of a sentence."""
    words = [[]] * 2 if boundary_words is None else [[word] for word in boundary_words]
    n_characters = length - len(words[0])
    begin, end = (
        np.array([*word, *boundary_character_ids(mark, n_characters)], np.int32)
        if n_characters
        else np.array(word, np.int32)
        for word, mark in zip(words, (BEGIN_SENTENCE_ID, END_SENTENCE_ID), strict=True)
    )
    return begin, end
