from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo.layers.projected_lstm_cell import ProjectedLSTMCell
from keras_elmo.pretraining.recurrence import lstm

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("projection_dim", "clip", "dtype", "tolerance"),
    [(3, None, "float64", 1e-10), (None, 0.5, "float64", 1e-10), (3, 0.5, "float32", 1e-5)],
)
def test_outputs_and_gradients_are_those_of_keras(
    projection_dim: int | None,
    clip: float | None,
    dtype: str,
    tolerance: float,
    reverse: bool,
) -> None:
    """Of outputs and last states, by all that they depend on."""
    cell = ProjectedLSTMCell(4, projection_dim, clip, clip, dtype=dtype)
    rnn = keras.layers.RNN(
        cell, return_sequences=True, return_state=True, go_backwards=reverse, dtype=dtype
    )
    rnn.build((5, 6, 2))
    size = cell.projection_dim
    x, h, c = (
        tf.constant(RNG.normal(size=shape), dtype)
        for shape in ((5, 6, 2), (5, size), (5, 4))
    )
    weights = [variable.value for variable in cell.trainable_variables]
    for weight in weights:
        weight.assign(RNG.normal(size=weight.shape))
    factors = [RNG.normal(size=shape) for shape in ((5, 6, size), (5, size), (5, 4))]
    found = []
    for is_own in (True, False):
        with tf.GradientTape() as tape:
            tape.watch([x, h, c])
            if is_own:
                results = lstm(cell, x, h, c, reverse)
            else:
                outputs, *last = rnn(x, initial_state=[h, c])
                results = (outputs[:, ::-1] if reverse else outputs, *last)
            loss = sum(tf.reduce_sum(a * b) for a, b in zip(results, factors, strict=True))
        found.append([*results, *tape.gradient(loss, [x, h, c, *weights])])
    for own, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=tolerance, atol=tolerance)
