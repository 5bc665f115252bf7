"""From strings to ids within the TensorFlow graph, as :class:`TokenIds` does outside."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_elmo.text.characters import (
    BEGIN_WORD_ID,
    CHARACTER_PADDING_ID,
    END_WORD_ID,
    boundary_character_ids,
)
from keras_elmo.text.lexicon import UNKNOWN_CHARACTER, Lexicon, TokenIds
from keras_elmo.types import Tensor


class TokenLookup:
    """The ids of strings (...), int32 (..., length), as a model's ``token_ids`` are.

    Its tables are constants: graphs that use them hold them, saved and exported.
    """

    def __init__(self, token_ids: TokenIds) -> None:
        self._token_ids = token_ids
        self._tables: Any = None

    def __call__(self, words: Tensor) -> Tensor:
        import tensorflow as tf

        lexicon, length = self._token_ids.lexicon, self._token_ids.length
        if lexicon is None:
            return word_ids(words, length)
        if self._tables is None:
            with tf.init_scope():  # not in a graph that may be built right now
                self._tables = _tables(lexicon)
        ids = self._from_tables(tf.reshape(words, [-1]), lexicon)  # (words, length)
        return tf.reshape(ids, tf.concat([tf.shape(words), [length]], axis=0))

    def _from_tables(self, words: Tensor, lexicon: Lexicon) -> Tensor:
        import tensorflow as tf

        known_words, known_characters = self._tables
        if known_characters is None:
            return known_words(words)[:, None]  # (words, 1)
        length = self._token_ids.max_characters
        text = tf.strings.unicode_decode(words, "UTF-8")[:, : length - 2]  # (words, ragged)
        words = tf.strings.unicode_encode(text, "UTF-8")  # (words,), cut
        ids = tf.ragged.map_flat_values(known_characters, text)  # (words, ragged)
        mark = tf.ones_like(words, tf.int32)[:, None]  # (words, 1)
        ids = tf.concat([BEGIN_WORD_ID * mark, ids, END_WORD_ID * mark], axis=1)
        ids = ids.to_tensor(CHARACTER_PADDING_ID, shape=(None, length))  # (words, length)
        for boundary, mark_id in lexicon.boundaries.items():
            is_boundary = (words == boundary)[:, None]  # (words, 1)
            ids = tf.where(is_boundary, boundary_character_ids(mark_id, length), ids)
        if known_words is None:
            return ids
        return tf.concat([known_words(words)[:, None], ids], axis=1)


def word_ids(words: Tensor, length: int) -> Tensor:
    """The ids of the bytes of strings (...), int32 (..., length)."""
    import tensorflow as tf

    n_bytes = tf.minimum(tf.strings.length(words), length - 2)  # (...)
    # One byte more than fits, so that the end mark has a place after the last.
    data = tf.io.decode_raw(words, tf.uint8, fixed_length=length - 1)
    ids = tf.cast(data, tf.int32) + 1  # (..., length - 1)
    positions = tf.range(length - 1)  # (length - 1,)
    end = n_bytes[..., None]  # (..., 1)
    ids = tf.where(positions < end, ids, CHARACTER_PADDING_ID)
    ids = tf.where(positions == end, END_WORD_ID, ids)  # (..., length - 1)
    before = [[0, 0]] * words.shape.rank + [[1, 0]]
    return tf.pad(ids, before, constant_values=BEGIN_WORD_ID)  # (..., length)


def _tables(lexicon: Lexicon) -> tuple[_Table | None, _Table | None]:
    """Those of the words and of the characters, for what the lexicon has."""
    words = characters = None
    if lexicon.words:
        known = lexicon.word_ids
        unknown = lexicon.special_ids[2]
        words = _Table(np.array(list(known), object), list(known.values()), unknown)
    if lexicon.characters:
        ids = lexicon.character_ids
        points = np.array(list(map(ord, ids)), np.int32)
        characters = _Table(points, list(ids.values()), UNKNOWN_CHARACTER + 1)
    return words, characters


class _Table:
    """Finds the ids of keys (n,), which are strings or integers, by bisection."""

    def __init__(self, keys: Any, ids: list[int], unknown_id: int) -> None:
        import tensorflow as tf

        keys = tf.constant(keys)
        order = tf.argsort(_number(keys))  # (keys,)
        self._keys, self._ids = tf.gather(keys, order), tf.gather(ids, order)
        self._numbers = _number(self._keys)  # (keys,), ascending
        self._unknown_id = unknown_id

    def __call__(self, keys: Tensor) -> Tensor:
        import tensorflow as tf

        places = tf.searchsorted(self._numbers, _number(keys))  # (n,)
        places = tf.minimum(places, tf.size(self._numbers) - 1)
        is_known = tf.gather(self._keys, places) == keys  # (n,)
        return tf.where(is_known, tf.gather(self._ids, places), self._unknown_id)


def _number(keys: Tensor) -> Tensor:
    """Numbers of keys that can be sorted; those of different strings hardly ever agree."""
    import tensorflow as tf

    if keys.dtype != tf.string:
        return keys
    return tf.strings.to_hash_bucket_fast(keys, 2**63 - 1)
