"""A training on two devices; a program, run by test_distribution.py.

``python -m tests.training.distributed_training FOLDER KIND`` trains ``FOLDER/model`` on two
parts of the processor, and writes what it finds to ``FOLDER/KIND.npz``. KIND is
``mirrored``, on the TensorFlow backend, or ``data_parallel``, on JAX.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__" and sys.argv[2] == "data_parallel":
    sys.modules["tensorflow"] = None  # importing it takes seconds

import keras
import numpy as np

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from tests.any_backend import model_of

TEXTS = [
    *("the cat sat on the mat", "a", "naïve café 北京 🙂", "one two three four five six"),
    *("a good film", "", "bad", "so bad that it hurts"),
]
LABELS = np.arange(8) % 2
BATCHES: dict[str, Any] = {"batch_size": 4, "input_mode": "character_ids"}


def classifier(source: Path, input_mode: str = "character_ids") -> keras.Model:
    """All of it is trained, by plain gradient descent with momentum."""
    layer = ElmoEmbeddingLayer(source, input_mode=input_mode, fine_tune="all")
    dense = keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")
    model = model_of(layer, dense)
    optimizer = keras.optimizers.SGD(0.2, momentum=0.5)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def dataset(initial_epoch: int = 0) -> Any:
    """Each epoch has another order."""
    order = {"shuffle": True, "seed": 1, "initial_epoch": initial_epoch}
    return text_dataset(TEXTS, LABELS, **BATCHES, **order)


def trained(model: keras.Model, data: Any) -> dict[str, np.ndarray]:
    """The losses of each epoch, the weights after the last, and what comes out."""
    fit = model.fit(data, epochs=4, shuffle=False, verbose=0)
    ids = text_dataset(TEXTS, **BATCHES)
    return {
        "losses": np.array(fit.history["loss"]),
        "weights": np.concatenate([np.ravel(w) for w in model.get_weights()]),
        "evaluated": np.array(model.evaluate(dataset(), verbose=0)),
        "predictions": model.predict(ids, verbose=0),
    }


def mirrored(folder: Path) -> dict[str, np.ndarray]:
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, two)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    with strategy.scope():
        model = classifier(folder / "model")
    numbers = trained(model, dataset())
    model.save(folder / "mirrored.keras")
    with strategy.scope():
        text = keras.Input(batch_shape=(4,), dtype="string")
        try:
            ElmoEmbeddingLayer(folder / "model", stateful=True)(text)
        except ValueError as error:
            numbers["stateful"] = np.array(str(error))
    return numbers


def data_parallel(folder: Path) -> dict[str, np.ndarray]:
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    model = classifier(folder / "model")
    devices = model.layers[1].scalar_mix.gamma.value.sharding.num_devices
    return {"n_devices": np.array(devices), **trained(model, dataset())}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run = {"mirrored": mirrored, "data_parallel": data_parallel}[sys.argv[2]]
    np.savez(folder / f"{sys.argv[2]}.npz", **run(folder))
