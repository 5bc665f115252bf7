"""Linear classifiers on mixes of ELMo's layers, with learned and with fixed weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops
from tasks import Task

from keras_elmo import ScalarMix

BATCH_SIZE = 64
LEARNING_RATE = 1e-2
LEARNED, MEAN = "learned", "plain mean"


class Outcome(NamedTuple):
    """The share of each layer in a mix, its scale, and the score on held-out data."""

    weights: list[float]
    gamma: float
    score: float


def train(task: Task, n_steps: int, seed: int) -> dict[str, Outcome]:
    """Trains a head on each mix for whole epochs, about ``n_steps`` batches."""
    keras.utils.set_random_seed(seed)
    inputs, labels = task.training  # (n, n_layers + 1, D), (n,)
    mixes = make_mixes(inputs.shape[1])
    heads = side_by_side(mixes, inputs.shape[1:], task.n_classes)
    n_epochs = max(1, round(n_steps * BATCH_SIZE / len(inputs)))
    decay_steps = n_epochs * -(-len(inputs) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, decay_steps)
    heads.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    answers = np.repeat(labels[:, None], len(mixes), axis=1)  # (n, mixes)
    heads.fit(inputs, answers, batch_size=BATCH_SIZE, epochs=n_epochs, verbose=0)
    probabilities = ops.convert_to_numpy(heads(task.held_out[0]))  # (n, mixes, n_classes)
    found = probabilities.argmax(axis=-1)  # (n, mixes)
    outcomes = {}
    for i, (name, mix) in enumerate(mixes.items()):
        shares = ops.convert_to_numpy(ops.softmax(mix.layer_weights))  # (n_layers + 1,)
        gamma = float(ops.convert_to_numpy(mix.gamma))
        outcomes[name] = Outcome(shares.tolist(), gamma, task.score(found[:, i]))
    return outcomes


def make_mixes(n_layers: int) -> dict[str, ScalarMix]:
    """Mixes with learned weights, with equal ones, and of each layer alone.

    The scale is always trained.
    """
    starts = {LEARNED: [0.0] * n_layers, MEAN: [0.0] * n_layers}
    for alone in range(n_layers):
        # The softmax gives the other layers no weight.
        starts[f"layer {alone}"] = [0.0 if k == alone else -1e9 for k in range(n_layers)]
    mixes = {name: ScalarMix(initial_weights=start) for name, start in starts.items()}
    for name, mix in mixes.items():
        mix.build((None, n_layers, None))
        mix.layer_weights.trainable = name == LEARNED
    return mixes


def side_by_side(
    mixes: dict[str, ScalarMix], shape: tuple[int, ...], n_classes: int
) -> keras.Model:
    """A softmax on each mix, in one model that returns (batch, mixes, n_classes).

    The heads share no weights, and the optimizer updates each parameter separately, so that
    each head ends as if it were trained alone. All see the same batches.
    """
    inputs = keras.Input(shape)  # (batch, n_layers + 1, D)
    heads: list[Any] = [
        layers.Dense(n_classes, activation="softmax")(mix(inputs)) for mix in mixes.values()
    ]  # (batch, n_classes) each
    return keras.Model(inputs, ops.stack(heads, axis=1))
