"""Finds the distinct words of a batch."""

from __future__ import annotations

import keras
import numpy as np

from keras_elmo import backends
from keras_elmo.types import Tensor


def distinct_words(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct words of strings (batch, time) or character ids (batch, time, length).

    Token vectors do not depend on context, so each word needs to be encoded only once.
    Returns the words, (words,) or (words, length), and each token's index among them, int32
    (batch, time). Needs a backend whose shapes can depend on values.
    """
    if not backends.is_tensorflow():
        ids = keras.ops.convert_to_numpy(tokens)  # (batch, time, length)
        rows = ids.reshape(-1, ids.shape[-1])  # (batch * time, length)
        words, places = np.unique(rows, axis=0, return_inverse=True)
        places = places.astype(np.int32).reshape(ids.shape[:2])  # (batch, time)
        return keras.ops.convert_to_tensor(words), keras.ops.convert_to_tensor(places)

    import tensorflow as tf

    if tokens.dtype == tf.string:
        words, places = tf.unique(tf.reshape(tokens, [-1]))  # (words,), (batch * time,)
    else:
        rows = tf.reshape(tokens, [-1, tokens.shape[-1]])  # (batch * time, length)
        words, places = tf.raw_ops.UniqueV2(x=rows, axis=[0])
        words = tf.ensure_shape(words, (None, tokens.shape[-1]))  # (words, length)
    places = tf.reshape(places, tf.shape(tokens)[:2])  # (batch, time)
    return words, tf.ensure_shape(places, tokens.shape[:2])
