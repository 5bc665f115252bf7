"""Each word of a batch once."""

from __future__ import annotations

from keras_elmo.types import Tensor


def distinct_words(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the distinct words among tokens, in the TensorFlow graph.

    Token vectors do not depend on context: each word needs to be encoded only once,
    however often it occurs in a batch.

    Args:
        tokens: Strings (batch, time).

    Returns:
        The words as strings (words,) in the order of their first occurrence, and the
        place of each token among them, int32 (batch, time).
    """
    import tensorflow as tf

    words, places = tf.unique(tf.reshape(tokens, [-1]))  # (words,), (batch * time,)
    places = tf.reshape(places, tf.shape(tokens))  # (batch, time)
    return words, tf.ensure_shape(places, tokens.shape)
