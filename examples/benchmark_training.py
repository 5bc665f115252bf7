"""Training for benchmark.py: single steps, and the article's whole job in two ways."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from benchmark_texts import Texts
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, compute_features
from keras_elmo.hub.tf_hub import read_mix
from keras_elmo.text.reviews import Reviews
from keras_elmo.weights.names import MIX_GAMMA, MIX_WEIGHTS

HIDDEN = 256


class TrainingStep:
    """Trains a model on one batch at a time.

    Args:
        model: A compiled model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model

    def __call__(self, texts: Texts, labels: NDArray[np.float32]) -> tuple[float, float]:
        """Takes one step.

        Returns:
            Seconds, and the loss before the step.
        """
        self.model.reset_metrics()  # or the loss would be the mean over all steps
        start = time.perf_counter()
        logs = self.model.train_on_batch(texts, labels, return_dict=True)
        return time.perf_counter() - start, float(logs["loss"])


@dataclass(frozen=True)
class Job:
    """What a job took, and what it reached.

    Attributes:
        seconds: From texts to a trained model, without loading ELMo.
        accuracies: The validation accuracy after each epoch.
        features_seconds: Those of the seconds that went into features.
    """

    seconds: float
    accuracies: list[float]
    features_seconds: float = 0.0


def make_step(module: Path, engine: Any, fine_tune: Any, seed: int) -> TrainingStep:
    """The article's model, from strings (batch,) to probabilities (batch, 1)."""
    elmo = ElmoEmbeddingLayer(module, engine=engine, fine_tune=fine_tune)
    return TrainingStep(_through(elmo, seed))


def job_through_hub(
    module: Path,
    training: Reviews,
    validation: Reviews,
    epochs: int,
    batch_size: int,
    seed: int,
) -> Job:
    """Trains as in the article: the module's graph embeds each text in each epoch.

    Args:
        module: The directory of a TF1 Hub module.
        training: Texts and labels.
        validation: Texts and labels.
        epochs: How many passes.
        batch_size: Texts in a batch.
        seed: Makes the start repeatable.

    Returns:
        What it took and reached.
    """
    model = _through(ElmoEmbeddingLayer(module, engine="hub"), seed)
    start = time.perf_counter()
    accuracies = _fit(model, training, validation, epochs, batch_size)
    return Job(time.perf_counter() - start, accuracies)


def job_on_features(
    module: Path,
    training: Reviews,
    validation: Reviews,
    epochs: int,
    batch_size: int,
    seed: int,
) -> Job:
    """Computes each text's pooled layers once, and trains the mix and the head on them.

    Arguments and result are those of :func:`job_through_hub`, and so is the model, because
    mixing and taking the mean commute.
    """
    layer = ElmoEmbeddingLayer(module, output_mode="pooled_layers")
    mix = read_mix(module)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="keras-elmo-benchmark-") as folder:
        features = [
            np.array(
                compute_features(layer, texts, Path(folder) / f"{i}.npy", progress=False)
            )
            for i, (texts, _) in enumerate((training, validation))
        ]
    features_seconds = time.perf_counter() - start
    pooled = keras.Input(features[0].shape[1:])  # (batch, n_layers + 1, D)
    mixed = ScalarMix(
        initial_weights=mix[MIX_WEIGHTS].tolist(), initial_gamma=float(mix[MIX_GAMMA])
    )(pooled)  # (batch, D)
    model = _compiled(pooled, mixed, seed)
    accuracies = _fit(
        model, (features[0], training[1]), (features[1], validation[1]), epochs, batch_size
    )
    return Job(time.perf_counter() - start, accuracies, features_seconds)


def _through(elmo: ElmoEmbeddingLayer, seed: int) -> keras.Model:
    text = keras.Input((), dtype="string")
    return _compiled(text, elmo(text), seed)


def _compiled(inputs: Any, vectors: Any, seed: int) -> keras.Model:
    """The article's head on vectors (batch, D), with the same start for the same seed."""
    start = keras.initializers.GlorotUniform
    hidden = keras.layers.Dense(
        HIDDEN, activation="relu", kernel_initializer=start(seed=seed)
    )(vectors)  # (batch, HIDDEN)
    positive = keras.layers.Dense(
        1, activation="sigmoid", kernel_initializer=start(seed=seed + 1)
    )(hidden)  # (batch, 1)
    model = keras.Model(inputs, positive)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def _fit(
    model: keras.Model, training: Any, validation: Any, epochs: int, batch_size: int
) -> list[float]:
    """Trains, and returns the validation accuracy after each epoch."""
    # The reviews are in random order already, which has to be the same for both ways.
    history = model.fit(
        *training,
        validation_data=validation,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=False,
        verbose=0,
    )
    return [float(accuracy) for accuracy in history.history["val_accuracy"]]
