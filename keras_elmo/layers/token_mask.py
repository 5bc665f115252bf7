"""The mask of tokens."""

from __future__ import annotations

import keras
from keras import ops

from keras_elmo.types import Tensor


def token_mask(tokens: Tensor) -> Tensor:
    """Booleans (batch, time), false at padding.

    Args:
        tokens: Strings (batch, time) with ``""`` as padding, or character ids (batch, time,
            length) with rows of zeros as padding.
    """
    if keras.backend.standardize_dtype(tokens.dtype) == "string":
        return tokens != ""
    return ops.any(ops.not_equal(tokens, 0), axis=-1)


@keras.saving.register_keras_serializable(package="keras_elmo")
class TokenMask(keras.Layer):
    """Separates tokens from padding.

    Args:
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, max_characters_per_token).

    Returns:
        Booleans (batch, time), true at tokens, of which some id is not 0.
    """

    def call(self, character_ids: Tensor) -> Tensor:
        return token_mask(character_ids)
