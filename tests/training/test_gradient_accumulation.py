"""Gradients of several batches, added up by the optimizer, are those of one large batch."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from tests.any_backend import model_of, to_numpy
from tests.tiny_models import LEAST

TEXTS = ["the cat sat", "a", "naïve café 北京", "one two three four", "", "good film"]
LABELS = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])


@pytest.mark.slow
@pytest.mark.any_backend
def test_batches_of_two_are_one_of_six() -> None:
    layer = ElmoEmbeddingLayer(LEAST, input_mode="character_ids", fine_tune="all")
    model = model_of(layer, keras.layers.Dense(1, activation="sigmoid"))
    start = model.get_weights()

    def trained(batch_size: int, steps: int | None) -> list[np.ndarray]:
        model.set_weights(start)
        # The momentum sees sums of gradients, and not each.
        optimizer = keras.optimizers.SGD(0.5, 0.9, gradient_accumulation_steps=steps)
        model.compile(optimizer, "binary_crossentropy")
        data = text_dataset(
            TEXTS, LABELS, batch_size=batch_size, input_mode="character_ids"
        )
        model.fit(data, epochs=2, shuffle=False, verbose=0)
        return [to_numpy(variable) for variable in model.trainable_variables]

    for small, large, first in zip(trained(2, 3), trained(6, None), start, strict=True):
        np.testing.assert_allclose(small, large, atol=1e-5)
        assert np.abs(large - first).max() > 1e-5
