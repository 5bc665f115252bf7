"""Begin and end of sentence around character ids."""

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
    """Puts the begin-sentence "word" before and the end-sentence "word" after each row.

    The end stands at the last step, after any padding: the LSTMs carry their state
    unchanged through padding, so that its place among the padding does not matter.

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
