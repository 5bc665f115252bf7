"""Training that goes on, watched by the perplexity of text that is held out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_elmo.pretraining import (
    BidirectionalLanguageModel,
    Perplexities,
    TrainingConfig,
    Vocabulary,
    Windows,
    load_language_model,
    read_sentences,
    save_language_model,
)

BATCH_SIZE = 64
WINDOW_STEPS = 24
N_SAMPLES = 2048
DROPOUT = 0.2


def unknown_share(tokens: Sequence[str], vocabulary: Vocabulary) -> float:
    """The share of the tokens that the model predicts as ``<UNK>``, all as one word."""
    known = set(vocabulary.words)
    return float(np.mean([token not in known for token in tokens]))


def adapt(
    source: str,
    training: Path,
    held_out: Path,
    out: Path,
    n_epochs: int,
    learning_rate: float,
    seed: int,
) -> list[Perplexities]:
    """Trains a model further, and writes it as it was when it was best.

    Args:
        source: A source with a softmax, whose words stay those that are predicted.
        training: The text to train on, a sentence in each line.
        held_out: The text to measure on.
        out: The directory for the model.
        n_epochs: How often to see each sentence.
        learning_rate: The highest one.
        seed: Of the order, dropout and samples.

    Returns:
        The perplexities of ``held_out`` before the training and after each epoch.
    """
    keras.utils.set_random_seed(seed)
    model, vocabulary = trainable_model(source, seed)
    windows = Windows(model.config, vocabulary, BATCH_SIZE, WINDOW_STEPS, "reset")
    n_steps = sum(1 for _ in windows(read_sentences([training])))
    settings = TrainingConfig(
        n_steps=n_epochs * n_steps,
        log_steps=n_steps,
        learning_rate=learning_rate,
        warmup_steps=n_steps // 2,
    )
    watched = HeldOut()

    def sentences() -> Iterator[list[str]]:
        for epoch in itertools.count():
            yield from read_sentences([training], shuffle_seed=seed + epoch)

    def held_out_sentences() -> Iterator[list[str]]:
        return read_sentences([held_out])

    # As many windows as there are: Keras takes the end of more for an accident.
    n_held_out = sum(1 for _ in windows(held_out_sentences()))
    measured = windows.dataset(held_out_sentences)
    model.compile(settings.make_optimizer())
    logs = model.evaluate(measured, steps=n_held_out, verbose=0, return_dict=True)
    watched.add("Before", logs)
    model.fit(
        windows.dataset(sentences),
        validation_data=measured,
        validation_steps=n_held_out,
        steps_per_epoch=n_steps,
        epochs=n_epochs,
        shuffle=False,  # they are
        callbacks=[watched],
        verbose=0,
    )
    save_language_model(model, vocabulary, out)
    return watched.history


def trainable_model(
    source: str, seed: int
) -> tuple[BidirectionalLanguageModel, Vocabulary]:
    """The language model of a source, with dropout and a sampled softmax.

    Args:
        source: A source with a softmax.
        seed: Of dropout and samples.

    Returns:
        The model, and the words that it predicts.
    """
    known, vocabulary = load_language_model(source, BATCH_SIZE)
    model = BidirectionalLanguageModel(
        known.config,
        len(vocabulary),
        BATCH_SIZE,
        n_samples=N_SAMPLES if len(vocabulary) > N_SAMPLES else None,
        dropout=DROPOUT,
        seed=seed,
    )
    for variable, value in zip(
        model.trainable_variables, known.trainable_variables, strict=True
    ):
        variable.assign(value)
    return model, vocabulary


class HeldOut(keras.callbacks.Callback):
    """Prints the perplexities after each epoch, and ends with the best epoch's weights.

    Attributes:
        history: All perplexities, those before the training first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Perplexities] = []
        self.weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps the weights if no epoch was better."""
        self.add(f"Epoch {epoch + 1}", logs or {}, prefix="val_")
        epochs = [perplexities.mean for perplexities in self.history[1:]]
        if epochs[-1] == min(epochs):
            self.weights = self.model.get_weights()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Goes back to the best epoch."""
        self.model.set_weights(self.weights)

    def add(self, when: str, logs: Mapping[str, float], prefix: str = "") -> None:
        """Prints and keeps what was measured.

        Args:
            when: What to print before it.
            logs: The metrics of the language model by name.
            prefix: What their names begin with.
        """
        names = ("perplexity", "forward_perplexity", "backward_perplexity")
        found = Perplexities(*(float(logs[prefix + name]) for name in names))
        print(
            f"{when}: perplexity {found.mean:.2f}, forward {found.forward:.2f}, backward "
            f"{found.backward:.2f}",
            flush=True,
        )
        self.history.append(found)
