"""Token vectors of known words, computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.text.sources import described, items_of
from keras_elmo.types import Tensor

_WORDS_AT_ONCE = 2048


@keras.saving.register_keras_serializable(package="keras_elmo")
class VocabularyCache(keras.Layer):
    """Remembers the token vectors of words, in place of the character CNN.

    Token vectors (projection_dim,) do not depend on context, so this is exact. They are not
    weights of the layer, but are saved with it. Needs the TensorFlow backend.
    """

    def __init__(self, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.projection_dim = projection_dim
        self.words: tuple[bytes, ...] = ()
        self.table: Any = None
        self.vectors: Any = None
        self.built = True

    def fill(self, words: Iterable[str], encode: Callable[[Tensor], Tensor]) -> None:
        """Remembers these words, which may repeat themselves, and no others.

        ``encode`` goes from strings (words,) to vectors (1 + words + 1, projection_dim),
        between those of the begin and the end of sentence.
        """
        import tensorflow as tf

        known = _distinct(words)
        parts = []
        for start in range(0, max(len(known), 1), _WORDS_AT_ONCE):
            some = known[start : start + _WORDS_AT_ONCE]
            vectors = encode(tf.constant(some, tf.string, (len(some),)))[1:-1]
            parts.append(tf.cast(vectors, tf.float32).numpy())  # (some, projection_dim)
        self._set(known, np.concatenate(parts))

    def _set(self, words: tuple[bytes, ...], vectors: NDArray[Any]) -> None:
        import tensorflow as tf

        if self.table is None:
            # Both can change, so that models traced before do not keep what they held.
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int32, 0)
            self.vectors = tf.Variable(
                tf.zeros((1, self.projection_dim), self.compute_dtype),
                trainable=False,
                shape=(None, self.projection_dim),
            )
        self.table.remove(self.table.export()[0])
        # Row 0 is for the words that are not known.
        rows = np.pad(vectors, [(1, 0), (0, 0)])  # (1 + words, projection_dim)
        self.vectors.assign(tf.cast(rows, self.compute_dtype))
        keys = tf.constant(words, tf.string, (len(words),))
        self.table.insert(keys, tf.range(1, len(words) + 1))
        self.words = words

    def clear(self) -> None:
        if self.words:
            self._set((), np.zeros((0, self.projection_dim), np.float32))

    def rows(self, words: Tensor) -> Tensor | None:
        """The row of each word (words,) in ``vectors``, int32 (words,), 0 if it has none.

        ``None`` if no word was ever known.
        """
        if self.table is None:
            return None
        import tensorflow as tf

        return tf.ensure_shape(self.table.lookup(words), words.shape)  # (words,)

    def completed(self, rows: Tensor, encoded: Tensor) -> Tensor:
        """Puts known and newly encoded words together, (1 + words + 1, projection_dim).

        ``encoded`` are the vectors of the words with row 0 in their order, between those of
        the begin and the end of sentence, (1 + unknown + 1, projection_dim).
        """
        import tensorflow as tf

        unknown = rows == 0  # (words,)
        # Row 0 of both is there for the words of the other.
        counts = tf.cumsum(tf.cast(unknown, tf.int32))  # (words,)
        new = tf.gather(encoded, tf.where(unknown, counts, 0))  # (words, projection_dim)
        old = tf.gather(self.vectors, rows)  # (words, projection_dim)
        vectors = tf.where(unknown[:, None], new, old)  # (words, projection_dim)
        return tf.concat([encoded[:1], vectors, encoded[-1:]], axis=0)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        if self.words:
            lengths = [len(word) for word in self.words]
            store["bytes"] = np.frombuffer(b"".join(self.words), np.uint8)
            store["lengths"] = np.array(lengths, np.int32)  # (words,)
            # float32 holds the values of every smaller type.
            store["vectors"] = self.vectors.numpy()[1:].astype(np.float32)

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Loads words and vectors; forgets what there is if there are none."""
        if not backends.is_tensorflow():
            return  # there are no strings
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
            f"words must be a list of strings; got one string, {words!r:.100}. Split it."
        )
    items = list(words) if isinstance(words, Set | Iterator) else items_of(words)
    if items is None:
        raise TypeError(f"words must be a list of strings; got {described(words)}.")
    encoded = []
    for word in items:
        if not isinstance(word, str):
            raise TypeError(
                f"words must hold strings; got {word!r:.100} of type {type(word).__name__}."
            )
        encoded.append(word.encode("utf-8", "ignore"))
    return tuple(dict.fromkeys(filter(None, encoded)))  # "" is padding
