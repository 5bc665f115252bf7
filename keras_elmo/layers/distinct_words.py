"""Each word of a batch once."""

from __future__ import annotations

import keras
import numpy as np

from keras_elmo import backends
from keras_elmo.types import Tensor


def distinct_words(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the distinct words among tokens.

    Token vectors do not depend on context: each word needs to be encoded only once,
    however often it occurs in a batch. Needs shapes that may depend on values
    (:func:`~keras_elmo.backends.shapes_may_depend_on_values`).

    Args:
        tokens: Strings (batch, time), or character ids (batch, time, length).

    Returns:
        The words, (words,) or (words, length), and the place of each token among them,
        int32 (batch, time).
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
