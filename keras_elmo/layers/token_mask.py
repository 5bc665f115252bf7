"""From character ids to the mask of their tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_elmo.types import Shape, Tensor


def token_mask(character_ids: Tensor) -> Tensor:
    """Booleans (batch, time), true where character ids (batch, time, length) have any."""
    return ops.any(ops.not_equal(character_ids, 0), axis=-1)


@keras.saving.register_keras_serializable(package="keras_elmo")
class TokenMask(keras.Layer):
    """Tells tokens from padding.

    A layer of its own because the mask of a symbolic tensor has to come from an
    operation that Keras can save with the model.

    Args:
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, max_characters_per_token).

    Returns:
        Booleans (batch, time), true at tokens, where any id is not 0.
    """

    def call(self, character_ids: Tensor) -> Tensor:
        """Looks for ids other than 0."""
        return token_mask(character_ids)

    def compute_output_spec(self, character_ids: Any) -> keras.KerasTensor:
        """The mask's shape and dtype."""
        return keras.KerasTensor(character_ids.shape[:-1], dtype="bool")

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        """The mask's shape: (batch, time)."""
        return tuple(input_shape[:-1])
