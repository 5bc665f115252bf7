"""A time axis of fixed length."""

from __future__ import annotations

from keras import ops

from keras_elmo import backends
from keras_elmo.types import Tensor


def with_length(tokens: Tensor, length: int) -> Tensor:
    """Cuts or pads tokens (batch, time, ...) to (batch, length, ...).

    Strings are padded with ``""``, character ids with 0.
    """
    tokens = tokens[:, :length]
    missing = length - ops.shape(tokens)[1]
    paddings = [[0, 0], [0, missing], *[[0, 0]] * (len(tokens.shape) - 2)]
    if not backends.is_tensorflow():
        return ops.pad(tokens, paddings)
    import tensorflow as tf

    padding = "" if tokens.dtype == tf.string else 0
    padded = tf.pad(tokens, paddings, constant_values=padding)
    return tf.ensure_shape(padded, (tokens.shape[0], length, *tokens.shape[2:]))
