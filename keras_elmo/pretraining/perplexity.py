"""How well a language model predicts."""

from __future__ import annotations

import keras
from keras import ops

from keras_elmo.types import Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class Perplexity(keras.metrics.Mean):
    """The exponential of the mean negative log-likelihood, given in nats."""

    def result(self) -> Tensor:
        """The perplexity of all that was counted."""
        return ops.exp(super().result())
