"""Adds the start and the end of a sentence to character ids."""

from __future__ import annotations

import keras
from keras import ops

from keras_elmo.text.characters import (
    BEGIN_SENTENCE_ID,
    END_SENTENCE_ID,
    boundary_character_ids,
)
from keras_elmo.types import Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class SentenceBoundaries(keras.Layer):
    """Adds the word for the start of a sentence before each row, and for the end after it.

    The end is at the last step, after any padding. Its position does not matter, because
    the LSTMs carry their state unchanged through padding.

    Args:
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, max_characters_per_token).

    Returns:
        Integers (batch, time + 2, max_characters_per_token).
    """

    def call(self, character_ids: Tensor) -> Tensor:
        batch, _, length = ops.shape(character_ids)

        def column(boundary: int) -> Tensor:
            ids = ops.cast(boundary_character_ids(boundary, length), character_ids.dtype)
            return ops.broadcast_to(ids, (batch, 1, length))

        begin, end = column(BEGIN_SENTENCE_ID), column(END_SENTENCE_ID)
        return ops.concatenate([begin, character_ids, end], axis=1)


def around_tokens(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Moves the start right before the first token, and the end right after the last.

    Args:
        mask: Booleans (batch, time), true at tokens.

    Returns:
        The source of each step, int32 (batch, time + 2), among steps (batch, time + 2) of
        which the boundaries are the first and the last; and booleans, true at the tokens
        and boundaries of the result. Without tokens, the boundaries come first.
    """
    time = ops.shape(mask)[1]
    tokens = ops.arange(time, dtype="int32")  # (time,)
    # The initial values are for batches without columns.
    last = ops.max(ops.where(mask, tokens, -1), axis=1, keepdims=True, initial=-1)
    first = ops.min(ops.where(mask, tokens, time), axis=1, keepdims=True, initial=time)
    steps = ops.arange(time + 2, dtype="int32")[None]  # (1, time + 2)
    is_begin = steps == ops.where(last < 0, 0, first)  # (batch, time + 2)
    is_end = steps == last + 2  # (batch, time + 2)
    sources = ops.where(is_begin, 0, ops.where(is_end, time + 1, steps))
    # As numbers: booleans that tf2onnx pads are not loaded by ONNX Runtime.
    is_token = ops.pad(ops.cast(mask, "int32"), [[0, 0], [1, 1]]) != 0
    return sources, is_token | is_begin | is_end
