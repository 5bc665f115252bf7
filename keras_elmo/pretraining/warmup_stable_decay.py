"""A learning rate that rises, stays and falls."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_elmo.types import Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class WarmupStableDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear from 0 to ``learning_rate``, constant, then linear to 0 (Hu et al. 2024).

    Args:
        learning_rate: The highest rate.
        warmup_steps: The number of steps in which it rises, 0 or more.
        n_steps: The number of steps after which it is 0.
        decay_steps: The number of steps in which it falls, 1 or more.
    """

    def __init__(
        self, learning_rate: float, warmup_steps: int, n_steps: int, decay_steps: int
    ) -> None:
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.n_steps = n_steps
        self.decay_steps = decay_steps

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        rise = step / self.warmup_steps if self.warmup_steps else ops.ones_like(step)
        fall = (self.n_steps - step) / self.decay_steps
        return self.learning_rate * ops.clip(ops.minimum(rise, fall), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "n_steps": self.n_steps,
            "decay_steps": self.decay_steps,
        }
