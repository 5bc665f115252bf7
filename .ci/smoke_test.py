"""A new user's first steps, on the installed package."""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

import keras_elmo
from keras_elmo.text.reviews import load_reviews


def main() -> None:
    """Builds, fits, saves and loads a model."""
    assert version("keras-elmo") == keras_elmo.__version__
    (texts, labels), _ = load_reviews()
    inputs = keras.Input((), dtype="string")
    vectors = keras_elmo.ElmoEmbeddingLayer("mini")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(vectors))
    model.compile("adam", "binary_crossentropy")
    model.fit(texts[:32], labels[:32], verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        loaded = keras.saving.load_model(path)
    predictions = [m.predict(texts[:4], verbose=0) for m in (model, loaded)]
    np.testing.assert_array_equal(*predictions)
    print("ok", keras.__version__, predictions[0].ravel())


if __name__ == "__main__":
    main()
