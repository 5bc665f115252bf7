"""Begin and end of sentence around character ids."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_elmo.text.characters import (
    BEGIN_SENTENCE_ID,
    END_SENTENCE_ID,
    boundary_character_ids,
)
from keras_elmo.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class SentenceBoundaries(keras.Layer):
    """Puts the begin-sentence "word" before and the end-sentence "word" after each row.

    The end stands at the last step, behind any padding: the LSTMs carry their state
    unchanged through padding, so that its place among the padding does not matter.

    Args:
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, max_characters_per_token).

    Returns:
        Integers (batch, time + 2, max_characters_per_token).
    """

    def call(self, character_ids: Tensor) -> Tensor:
        """Concatenates along the time axis."""
        batch, _, length = ops.shape(character_ids)
        dtype = character_ids.dtype

        def boundary(boundary_id: int) -> Tensor:
            row = ops.cast(boundary_character_ids(boundary_id, length), dtype)  # (length,)
            return ops.broadcast_to(row, (batch, 1, length))

        return ops.concatenate(
            [boundary(BEGIN_SENTENCE_ID), character_ids, boundary(END_SENTENCE_ID)], axis=1
        )  # (batch, time + 2, length)

    def compute_output_spec(self, character_ids: Any) -> keras.KerasTensor:
        """The longer ids' shape and dtype."""
        shape = self.compute_output_shape(character_ids.shape)
        return keras.KerasTensor(shape, character_ids.dtype)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The shape with two steps more."""
        batch, time, length = input_shape
        return (batch, None if time is None else time + 2, length)
