"""The mean over tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_elmo.types import Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class MaskedMean(keras.Layer):
    """The mean over unmasked steps; zeros if all steps are masked.

    ``keras.layers.GlobalAveragePooling1D`` would divide by zero in this case.

    Args:
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        inputs: (batch, time, ...).
        mask: Booleans (batch, time), or ``None`` for all true.

    Returns:
        The mean (batch, ...), without a mask.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            mask = ops.ones(ops.shape(inputs)[:2], dtype="bool")
        dtype = inputs.dtype
        # Half precision cannot count beyond 2048 or sum beyond 65504.
        inputs = ops.cast(inputs, keras.backend.result_type(dtype, "float32"))
        unmasked = ops.cast(mask, inputs.dtype)  # (batch, time)
        n_steps = ops.maximum(ops.sum(unmasked, axis=1), 1)  # (batch,)
        trailing = [1] * (len(inputs.shape) - 2)
        unmasked = ops.reshape(unmasked, (*ops.shape(unmasked), *trailing))
        n_steps = ops.reshape(n_steps, (-1, *trailing))
        mean = ops.sum(inputs * unmasked, axis=1) / n_steps  # (batch, ...)
        return ops.cast(mean, dtype)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> None:
        return None
