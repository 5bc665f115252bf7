"""What one backend computes of another's files; a program, run by test_across_backends.py.

``python -m tests.across_backends FOLDER NAME``, with ``KERAS_BACKEND`` set, reads models
from FOLDER and writes its numbers to ``NAME.npz`` there, its model to ``NAME.keras``.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and sys.argv[2] != "tensorflow":
    sys.modules["tensorflow"] = None  # as if it were not installed

import keras
import numpy as np

import keras_elmo
from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, text_dataset
from tests.any_backend import model_of

STEPS = 4


def classifier(config: ElmoConfig, input_mode: str = "character_ids") -> keras.Model:
    """All outputs that train something: the mix over time and over layers."""
    layer = ElmoEmbeddingLayer(config, "elmo", input_mode, fine_tune="all", name="elmo")
    head = keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1, name="dense")
    return model_of(layer, *head)


def trained_losses(model: keras.Model, ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Plain gradient descent, each step on all of the texts."""
    model.compile(keras.optimizers.SGD(0.1), "mse")
    fit = model.fit(ids, labels, batch_size=len(ids), epochs=STEPS, verbose=0)
    return np.array(fit.history["loss"])


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    return {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}


def main(folder: Path, name: str) -> None:
    """Predicts with a trained model, and trains another one."""
    assert keras.backend.backend() == name
    with np.load(folder / "data.npz") as data:
        ids, labels, texts = data["ids"], data["labels"], data["texts"].tolist()
    numbers = {}
    model = keras.saving.load_model(folder / "trained.keras")
    numbers["of trained.keras"] = model.predict(ids, verbose=0)
    model = keras.saving.load_model(folder / "start.keras")
    numbers["losses"] = trained_losses(model, ids, labels)
    numbers["predictions"] = model.predict(ids, verbose=0)
    numbers |= {f"weights/{path}": values for path, values in weights(model).items()}
    model.save(folder / f"{name}.keras")
    if name != "tensorflow":
        # A model that takes strings: its weights move, into one that takes ids.
        try:
            keras.saving.load_model(folder / "strings.keras")
        except ValueError as error:
            numbers["refusal"] = np.array(str(error))
        model = classifier(model.get_layer("elmo").config)
        model.load_weights(folder / "strings.keras")
        dataset = text_dataset(texts, batch_size=len(texts))
        numbers["of strings.keras"] = model.predict(dataset, verbose=0)
        try:
            keras_elmo.ElmoEmbeddingLayer(folder / "module", "elmo", "character_ids")
        except keras_elmo.SourceError as error:
            numbers["module"] = np.array(str(error))
    np.savez(folder / f"{name}.npz", **numbers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
