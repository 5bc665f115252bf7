"""Trainings on two devices or by two workers; a program, run by test_distribution.py.

``python -m tests.training.distributed_training FOLDER mirrored`` trains on two logical
devices, ``... data-parallel`` too, on the JAX backend, and ``... worker`` is one of the
workers that ``TF_CONFIG`` names. What they find goes to a file of numbers in FOLDER, where
the models are. The models and data are those that the tests train on one device.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__" and sys.argv[2] == "data-parallel":
    sys.modules["tensorflow"] = None  # importing it takes seconds

import keras
import numpy as np

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from keras_elmo.errors import WorkerLostError
from keras_elmo.training import DistributedModel, TrainingBackup

TEXTS = [
    "the cat sat on the mat",
    "a",
    "naïve café 北京 🙂",
    "one two three four five six",
    "a good film",
    "",
    "bad",
    "so bad it hurts",
    "the film",
]
LABELS = np.arange(9) % 2
TAGS = np.array([[1, 0, 2], [2, 1, 0], [0, 0, 1]])
TOKENS = [["the", "cat", "sat"], ["", "a", ""], ["good", "film", ""]]
EPOCHS = 4
BATCH = 4  # the last of three batches has one text, and one device has none of it


def classifier(source: Path, input_mode: str = "sentences") -> keras.Model:
    """All of it is trained, by plain gradient descent with momentum."""
    strings = input_mode == "sentences"
    inputs = keras.Input(
        () if strings else (None, 50), dtype="string" if strings else "int32"
    )
    layer = ElmoEmbeddingLayer(source, input_mode=input_mode, fine_tune="all", name="elmo")
    dense = keras.layers.Dense(
        1,
        "sigmoid",
        kernel_initializer=keras.initializers.GlorotUniform(seed=0),
        name="dense",
    )
    model = DistributedModel(inputs, dense(layer(inputs)))
    model.compile(
        keras.optimizers.SGD(0.5, momentum=0.5),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    return model


def tagger(source: Path) -> keras.Model:
    """The mean of its loss is over tokens, of which each device has another number."""
    inputs = keras.Input((None,), dtype="string")
    layer = ElmoEmbeddingLayer(source, "elmo", "tokens", fine_tune="all", name="elmo")
    dense = keras.layers.Dense(
        3,
        "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed=0),
        name="dense",
    )
    model = DistributedModel(inputs, dense(layer(inputs)))
    model.compile(
        keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", run_eagerly=True
    )
    return model


def dataset(initial_epoch: int = 0) -> Any:
    """Each epoch has another order."""
    return text_dataset(
        TEXTS,
        LABELS,
        batch_size=BATCH,
        shuffle=True,
        seed=1,
        initial_epoch=initial_epoch,
    )


def trained(model: keras.Model, data: Any, **kwargs: Any) -> dict[str, np.ndarray]:
    """The losses of each epoch, and the weights after the last."""
    fit = model.fit(data, epochs=EPOCHS, shuffle=False, verbose=0, **kwargs)
    losses = {f"losses/{name}": np.array(x) for name, x in fit.history.items()}
    return {**losses, **weights(model)}


def used(model: keras.Model) -> dict[str, np.ndarray]:
    """What a trained model predicts, and how well."""
    model.run_eagerly = True  # which takes less time for once
    strings = np.array(TEXTS, dtype=object)
    results = model.evaluate(dataset(), verbose=0)
    return {
        "evaluated": np.array(results),
        "predictions": model.predict(strings, batch_size=BATCH, verbose=0),
    }


def tagged(model: keras.Model) -> dict[str, np.ndarray]:
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((TOKENS, TAGS)).batch(3)
    model.fit(data, epochs=2, shuffle=False, verbose=0)
    return weights(model)


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    return {
        f"weights/{v.path}": keras.ops.convert_to_numpy(v)
        for v in model.trainable_variables
    }


def message(call: Callable[[], Any], error: type[Exception]) -> np.ndarray:
    try:
        call()
    except error as found:
        return np.array(str(found))
    raise AssertionError(f"no {error.__name__}")


def mirrored(folder: Path) -> dict[str, np.ndarray]:
    """Everything on two devices of one process."""
    import tensorflow as tf

    device = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(device, two)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    source, strings = folder / "model", np.array(TEXTS, dtype=object)
    with strategy.scope():
        model = classifier(source)
    numbers = trained(model, dataset()) | used(model)
    model.save(folder / "mirrored.keras")
    with strategy.scope():
        model = tagger(source)
    numbers |= {f"tagger/{name}": array for name, array in tagged(model).items()}

    for name, engine in (("cached", "native"), ("hub", "hub")):
        with strategy.scope():
            text = keras.Input((), dtype="string")
            where = folder / "module" if engine == "hub" else source
            layer = ElmoEmbeddingLayer(where, engine=engine, name="elmo")
            model = DistributedModel(text, layer(text))
            model.compile(run_eagerly=True)
        if engine == "native":
            layer.cache_vocabulary(["the", "film"])
        numbers[name] = model.predict(strings[:3], verbose=0)

    def stateful() -> None:
        text = keras.Input(batch_shape=(BATCH,), dtype="string")
        ElmoEmbeddingLayer(source, stateful=True)(text)

    text = keras.Input((), dtype="string")
    outside = ElmoEmbeddingLayer(source, name="outside")(text)
    with strategy.scope():
        numbers["stateful"] = message(stateful, ValueError)
        numbers["outside"] = message(lambda: DistributedModel(text, outside), ValueError)
        model.compile(keras.optimizers.SGD(gradient_accumulation_steps=2), "mse")
    numbers["accumulating"] = message(lambda: model.fit(dataset()), ValueError)
    return numbers


def worker(folder: Path) -> dict[str, np.ndarray]:
    """Trains, and restores what is kept; is killed where ``KILL_IN`` says."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    kill = KillInEpoch(int(os.environ.get("KILL_IN", "-1")))
    with strategy.scope():
        model = classifier(folder / "model")
    backup = TrainingBackup(folder / "backup")
    epoch = backup.restore(model)
    try:
        numbers = trained(
            model, dataset(epoch), initial_epoch=epoch, callbacks=[backup, kill]
        )
    except WorkerLostError as error:
        return {"lost": np.array(str(error))}
    numbers |= used(model)
    return numbers | {
        f"history/{name}": np.array(values) for name, values in backup.history.items()
    }


class KillInEpoch(keras.callbacks.Callback):
    """Kills this process in the midst of an epoch, as a machine that fails."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch
        self.is_now = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.is_now = epoch == self.epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.is_now and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def data_parallel(folder: Path) -> dict[str, np.ndarray]:
    """On two devices of JAX, and on one."""
    numbers = {}
    for name, distribution in (
        ("one", None),
        ("two", keras.distribution.DataParallel()),
    ):
        keras.distribution.set_distribution(distribution)
        model = classifier(folder / "model", "character_ids")
        # Batches of the same shape, so that one program is compiled.
        texts = [*TEXTS[:7], "so bad that it really hurts"]
        found = trained(model, text_dataset(texts, LABELS[:8], batch_size=BATCH))
        numbers |= {f"{name}/{part}": values for part, values in found.items()}
    sharding = model.get_layer("elmo").scalar_mix.gamma.value.sharding
    numbers["n_devices"] = np.array(sharding.num_devices)
    return numbers


def main(folder: Path, what: str) -> None:
    run = {"mirrored": mirrored, "worker": worker, "data-parallel": data_parallel}[what]
    name = what
    if what == "worker":
        name = f"worker_{json.loads(os.environ['TF_CONFIG'])['task']['index']}"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # No graph runs often enough here to be worth it.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    numbers = run(folder)
    np.savez(folder / f"{name}.npz", **numbers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
