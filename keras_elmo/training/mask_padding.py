"""Masks the padding of token-level features."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_elmo.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class MaskPadding(keras.Layer):
    """Masks padding in token-level features: steps that are all zeros.

    Use it as the first layer of a head on token-level features. ``LSTM``, attention and
    pooling layers then skip the padding, and the loss leaves it out.
    ``keras.layers.Masking`` would mask each ELMo layer separately.

    Args:
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        features: (batch, time, n_layers + 1, D), or any other axes after time.

    Returns:
        The unchanged features, with a Keras mask (batch, time).

    Raises:
        ValueError: The features have no axis after time.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3:
            raise ValueError(
                "features must be of shape (batch, time, n_layers + 1, D); got "
                f"{tuple(input_shape)}."
            )

    def call(self, features: Tensor) -> Tensor:
        # A copy, as the tensor itself may have another mask.
        return ops.copy(features)

    def compute_mask(self, features: Tensor, previous_mask: Tensor | None = None) -> Tensor:
        axes = tuple(range(2, len(features.shape)))
        return ops.any(ops.not_equal(features, 0), axis=axes)  # (batch, time)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return tuple(input_shape)
