"""Training on features of pairs; the epoch that finds most on validation pairs is kept."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from siamese_model import contrastive_loss, siamese
from text_halves import Pair
from text_retrieval import Retrieval, cosines, retrieval

from keras_elmo import ScalarMix

# These, and the dropout, were chosen by the validation reviews.
BATCH_SIZE = 256
TEMPERATURE = 0.05
LEARNING_RATE = 1e-4
WEIGHT_DECAY = 0.01


def encoded(head: keras.Model, pair: Pair) -> Pair:
    """The vectors (n, size) of first and second halves, from their features."""
    # By itself, without the graph that predict() would make: it is only a small product.
    first, second = (keras.ops.convert_to_numpy(head(x)) for x in pair)
    return first, second


def found_by(head: keras.Model, pair: Pair) -> Retrieval:
    """Measures how well a head's vectors find the other halves."""
    return retrieval(cosines(*encoded(head, pair)))


class BestEpoch(keras.callbacks.Callback):
    """Measures retrieval on validation pairs after each epoch, and keeps the best weights.

    Args:
        head: What is trained.
        validation: Its inputs for the first and second halves.
    """

    def __init__(self, head: keras.Model, validation: Pair) -> None:
        super().__init__()
        self.head = head
        self.validation = validation
        self.best = -1.0
        self.weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Adds the mean reciprocal rank to the logs."""
        found = found_by(self.head, self.validation).reciprocal_rank
        if logs is not None:
            logs["val_mrr"] = found
        if found > self.best:
            self.best, self.weights = found, self.head.get_weights()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Takes the weights of the best epoch."""
        self.head.set_weights(self.weights)


def train(
    head: keras.Model,
    training: Pair,
    validation: Pair,
    epochs: int,
) -> dict[str, list[float]]:
    """Trains a head so that halves of a review get similar vectors.

    Args:
        head: From features to vectors of length 1.
        training: The features of the first halves and of the second ones, in the same
            order.
        validation: The same of other reviews, by which the epoch is chosen.
        epochs: Passes over the training pairs.

    Returns:
        The loss, and the mean reciprocal rank on the validation pairs, of each epoch.
    """
    model = siamese(head)
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    model.compile(optimizer, contrastive_loss(TEMPERATURE))
    reviews = np.arange(len(training[0]))
    history = model.fit(
        list(training),
        reviews,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        callbacks=[BestEpoch(head, validation)],
        verbose=2,
    )
    return {name: [float(x) for x in values] for name, values in history.history.items()}


def print_mix(head: keras.Model) -> None:
    """Prints each layer's share of the mix, and its scale."""
    (mix,) = (layer for layer in head.layers if isinstance(layer, ScalarMix))
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(mix.layer_weights))  # (layers,)
    gamma = float(keras.ops.convert_to_numpy(mix.gamma))
    print(f"Layer weights: {' '.join(f'{x:.3f}' for x in shares)}; gamma: {gamma:.3f}")
