"""A cache of the token vectors of known words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.text.sources import described, items_of, utf8
from keras_elmo.types import Tensor

_WORDS_AT_ONCE = 2048


@keras.saving.register_keras_serializable(package="keras_elmo")
class VocabularyCache(keras.Layer):
    """Caches the token vectors of words, to save running the character CNN.

    Token vectors (projection_dim,) do not depend on context, so the result is exact. They
    are not weights of the layer, but are saved with it. Needs the TensorFlow backend.
    """

    def __init__(self, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.projection_dim = projection_dim
        self.table: Any = None
        self.built = True

    @property
    def words(self) -> list[bytes]:
        """The known words, sorted."""
        return [] if self.table is None else sorted(self.table.export()[0].numpy())

    def fill(self, words: Iterable[str], encode: Callable[[Tensor], Tensor]) -> None:
        """Replaces the cached words; ``words`` may repeat.

        ``encode`` converts strings (words,) to vectors (1 + words + 1, projection_dim); the
        first and the last are those of the start and the end of a sentence.
        """
        import tensorflow as tf

        known = _distinct(words)
        parts = []
        for start in range(0, max(len(known), 1), _WORDS_AT_ONCE):
            some = known[start : start + _WORDS_AT_ONCE]
            vectors = encode(tf.constant(some, tf.string, (len(some),)))[1:-1]
            parts.append(tf.cast(vectors, tf.float32).numpy())  # (some, projection_dim)
        self._set(known, np.concatenate(parts))

    def _set(self, words: Sequence[bytes], vectors: NDArray[Any]) -> None:
        import tensorflow as tf

        table = self.table
        if table is None:
            # Unknown words have NaN vectors.
            unknown = tf.fill([self.projection_dim], float("nan"))
            table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, unknown)
        # One operation, because other threads may be calling the layer, on the same table,
        # because traced models keep it.
        tf.raw_ops.LookupTableImportV2(
            table_handle=table.resource_handle,
            keys=tf.constant(words, tf.string, (len(words),)),
            values=tf.constant(vectors, tf.float32),
        )
        self.table = table

    def clear(self) -> None:
        if self.table is not None:
            self._set((), np.zeros((0, self.projection_dim), np.float32))

    def word_vectors(self, words: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """The result of ``encode`` for words (words,), computed only for unknown words."""
        if self.table is None:
            return encode(words)
        import tensorflow as tf

        known = self.table.lookup(words)  # (words, projection_dim)
        known = tf.ensure_shape(known, (*words.shape, self.projection_dim))
        unknown = tf.math.is_nan(known[:, 0])  # (words,)
        encoded = encode(words[unknown])  # (1 + unknown + 1, projection_dim)
        # The first vector stands in for known words.
        places = tf.where(unknown, tf.cumsum(tf.cast(unknown, tf.int32)), 0)  # (words,)
        new = tf.gather(encoded, places)  # (words, projection_dim)
        vectors = tf.where(unknown[:, None], new, tf.cast(known, new.dtype))
        return tf.concat([encoded[:1], vectors, encoded[-1:]], axis=0)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        if self.table is None:
            return
        words, vectors = (each.numpy() for each in self.table.export())
        if len(words):
            order = np.argsort(words)
            store["bytes"] = np.frombuffer(b"".join(words[order]), np.uint8)
            store["lengths"] = np.array(list(map(len, words[order])), np.int32)  # (words,)
            store["vectors"] = vectors[order]  # (words, projection_dim)

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Loads words and vectors, or clears the cache if the file has none."""
        if not backends.is_tensorflow():
            return  # strings need TensorFlow
        if "vectors" not in store:
            self.clear()
            return
        text = np.asarray(store["bytes"]).tobytes()
        ends = np.cumsum(np.asarray(store["lengths"])).tolist()
        words = tuple(text[start:end] for start, end in zip([0, *ends], ends, strict=False))
        self._set(words, np.asarray(store["vectors"]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "projection_dim": self.projection_dim}


def _distinct(words: Iterable[str]) -> tuple[bytes, ...]:
    """The distinct words in UTF-8, in the order of their first occurrence."""
    if isinstance(words, str | bytes):
        raise TypeError(
            f"words must be a list of strings; got the string {words!r:.100}. Split it."
        )
    items = list(words) if isinstance(words, Set | Iterator) else items_of(words)
    if items is None:
        raise TypeError(f"words must be a list of strings; got {described(words)}.")
    encoded = (utf8(word, "words must hold strings;") for word in items)
    return tuple(dict.fromkeys(filter(None, encoded)))  # "" is padding
