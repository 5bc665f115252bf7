"""Linear classifiers on mixes of ELMo's layers, with learned and with fixed weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops
from layer_weights_tasks import Task

from keras_elmo import ScalarMix

BATCH_SIZE = 64
LEARNING_RATE = 1e-2

LEARNED, MEAN = "learned", "plain mean"


class Outcome(NamedTuple):
    """What came of a training.

    Attributes:
        weights: The share of each layer in the mix, (n_layers + 1,), in all 1.
        gamma: The scale of the mix.
        score: The task's, on what was held out.
    """

    weights: list[float]
    gamma: float
    score: float


def train(task: Task, n_steps: int, seed: int) -> dict[str, Outcome]:
    """Trains a head on each mix.

    Args:
        task: What they learn.
        n_steps: How many batches to train on, rounded to whole passes over the data; the
            learning rate falls to 0 along a half cosine.
        seed: Of the first weights and the order.

    Returns:
        By the name of the mix: it as it is then, and the score.
    """
    keras.utils.set_random_seed(seed)
    inputs, labels = task.training  # (n, n_layers + 1, D), (n,)
    mixes = make_mixes(inputs.shape[1])
    heads = side_by_side(list(mixes.values()), inputs.shape[1:], task.n_classes)
    n_epochs = max(1, round(n_steps * BATCH_SIZE / len(inputs)))
    decay_steps = n_epochs * -(-len(inputs) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, decay_steps)
    heads.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    answers = np.repeat(labels[:, None], len(mixes), axis=1)  # (n, mixes)
    heads.fit(inputs, answers, batch_size=BATCH_SIZE, epochs=n_epochs, verbose=0)
    # (n, mixes)
    found = np.argmax(ops.convert_to_numpy(heads(task.held_out[0])), axis=-1)
    return {
        name: Outcome(
            ops.convert_to_numpy(ops.softmax(mix.layer_weights)).tolist(),
            float(ops.convert_to_numpy(mix.gamma)),
            task.score(found[:, i]),
        )
        for i, (name, mix) in enumerate(mixes.items())
    }


def make_mixes(n_layers: int) -> dict[str, ScalarMix]:
    """Makes mixes with learned weights, with equal ones, and of each layer alone.

    Their scale is always trained.

    Args:
        n_layers: How many layers there are, the token vectors included.

    Returns:
        Built mixes by their names.
    """
    starts = {LEARNED: [0.0] * n_layers, MEAN: [0.0] * n_layers}
    for alone in range(n_layers):
        # The softmax leaves nothing of the others.
        starts[f"layer {alone}"] = [0.0 if k == alone else -1e9 for k in range(n_layers)]
    mixes = {name: ScalarMix(initial_weights=start) for name, start in starts.items()}
    for name, mix in mixes.items():
        mix.build((None, n_layers, None))
        mix.layer_weights.trainable = name == LEARNED
    return mixes


def side_by_side(
    mixes: Sequence[ScalarMix], shape: tuple[int, ...], n_classes: int
) -> keras.Model:
    """Puts a softmax on each mix, in one model.

    The heads share nothing: trained together, by an optimizer that treats each number by
    itself, each becomes what it would alone. They see the same batches, and are compiled
    once.

    Args:
        mixes: Of the layers.
        shape: Of the layers of a text or token, (n_layers + 1, D).
        n_classes: How many probabilities each head gives.

    Returns:
        The model from (batch, n_layers + 1, D) to (batch, mixes, n_classes).
    """
    inputs = keras.Input(shape)
    heads: list[Any] = [
        layers.Dense(n_classes, activation="softmax")(mix(inputs)) for mix in mixes
    ]  # (batch, n_classes) each
    return keras.Model(inputs, ops.stack(heads, axis=1))
