"""ELMo's alphabet and character ids, without any framework.

The ids of a token are its UTF-8 bytes between the marks for the start and the end of a
word, padded to a fixed length (Jozefowicz et al. 2016, as in Peters et al. 2018). All ids
are one higher than the byte or mark, so that 0 means "no token".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.sources import described, items_of, utf8
from keras_elmo.types import check_characters_per_token

N_CHARACTERS = 261
"""Rows of the character embedding: 256 bytes and 5 marks, for the ids 1 to 261."""

BEGIN_SENTENCE_ID = 256 + 1
END_SENTENCE_ID = 257 + 1
BEGIN_WORD_ID = 258 + 1
END_WORD_ID = 259 + 1
CHARACTER_PADDING_ID = 260 + 1

MAX_CHARACTERS_PER_TOKEN = 50
"""The number of ids per token in all released models."""

# AllenNLP's indexer reads these two words as the sentence boundaries.
_BOUNDARY_WORDS = {b"<S>": BEGIN_SENTENCE_ID, b"</S>": END_SENTENCE_ID}


def boundary_character_ids(boundary_id: int, length: int) -> NDArray[np.int32]:
    """The character ids (length,) of a sentence boundary."""
    ids = np.full(length, CHARACTER_PADDING_ID, np.int32)
    ids[:3] = BEGIN_WORD_ID, boundary_id, END_WORD_ID
    return ids


def token_character_ids(token: bytes, length: int) -> NDArray[np.int32]:
    """The character ids (length,) of a token in UTF-8, cut to ``length - 2`` bytes."""
    characters = np.frombuffer(token[: length - 2], np.uint8)
    return marked_characters(characters.astype(np.int32) + 1, length)


def marked_characters(characters: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """The ids of at most ``length - 2`` characters between the marks of a word."""
    ids = np.full(length, CHARACTER_PADDING_ID, np.int32)
    ids[0] = BEGIN_WORD_ID
    ids[1 : 1 + len(characters)] = characters
    ids[1 + len(characters)] = END_WORD_ID
    return ids


def batch_to_character_ids(
    batch: Sequence[Sequence[str]],
    max_characters_per_token: int = MAX_CHARACTERS_PER_TOKEN,
) -> NDArray[np.int32]:
    """Converts tokenized sentences to padded character ids.

    The ids equal those of AllenNLP's ``batch_to_ids``: the tokens ``<S>`` and ``</S>``
    become sentence boundaries, an empty string is a token without characters (in the
    layer's ``"tokens"`` mode it is padding), and lone surrogates, which UTF-8 cannot
    encode, are dropped.

    Args:
        batch: Sentences, each a sequence of tokens (``str`` or UTF-8 ``bytes``).
        max_characters_per_token: The number of ids per token. Longer tokens are cut to
            ``max_characters_per_token - 2`` bytes.

    Returns:
        An int32 array (batch, time, max_characters_per_token). Time is the length of the
        longest sentence; 0 is padding.

    Raises:
        TypeError: ``batch`` is not a batch of sequences of tokens.
        ValueError: ``max_characters_per_token`` is less than 3.
    """
    length = check_characters_per_token(
        "max_characters_per_token", max_characters_per_token
    )
    rows_by_token: dict[bytes, NDArray[np.int32]] = {
        word: boundary_character_ids(boundary_id, length)
        for word, boundary_id in _BOUNDARY_WORDS.items()
    }
    sentences = encoded_batch(batch)
    time = max(map(len, sentences), default=0)
    ids = np.zeros((len(sentences), time, length), np.int32)
    for row, tokens in enumerate(sentences):
        for column, token in enumerate(tokens):
            if token not in rows_by_token:
                rows_by_token[token] = token_character_ids(token, length)
            ids[row, column] = rows_by_token[token]
    return ids


def encoded_batch(batch: Sequence[Sequence[str]]) -> list[list[bytes]]:
    """The tokens of each sentence in UTF-8, or a TypeError for anything else."""
    expected = "batch must hold tokens of type str or bytes;"
    return [
        [utf8(token, expected) for token in _items(sentence)] for sentence in _items(batch)
    ]


def _items(value: Any) -> list[Any]:
    # A string is a sequence of strings too: a common mistake that would go unnoticed.
    items = None if isinstance(value, (str, bytes)) else items_of(value)
    if items is None:
        raise TypeError(
            "batch must be a sequence of sentences, each a sequence of tokens, such as "
            "[['First', 'sentence', '.'], ['Another', '.']]; got "
            f"{described(value)}. Split sentences into tokens first."
        )
    return items
