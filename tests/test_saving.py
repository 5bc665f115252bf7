"""Models that hold the layer: saved, loaded, exported, cloned."""

from __future__ import annotations

import copy
import pickle
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from tests.processes import LOAD_AND_PREDICT, SERVE, run_python
from tests.tiny_models import LEAST, saved_model

SENTENCES = ["the cat sat on the mat", "a", "", "naïve café"]


def trained_model(
    source: Path | str, mode: str = "default", **arguments: object
) -> keras.Model:
    inputs = keras.Input((), dtype="string")
    x = ElmoEmbeddingLayer(source, mode, name="elmo", **arguments)(inputs)
    if mode == "elmo":
        x = keras.layers.LSTM(3)(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    # The first graph takes longer than these two steps.
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(np.array(SENTENCES, dtype=object), np.arange(4.0), epochs=2, verbose=0)
    model.compile(model.optimizer, "mse")
    return model


def predictions(model: keras.Model) -> np.ndarray:
    return model(tf.constant(SENTENCES)).numpy()


def test_keras_files_without_the_source_in_a_new_process(tmp_path: Path) -> None:
    source = saved_model(tmp_path / "source")
    expected = {}
    for mode in ("default", "elmo"):
        model = trained_model(source, mode, fine_tune="lstm")
        path = str(tmp_path / f"{mode}.keras")
        model.save(path)
        expected[path] = model.predict(tf.constant(SENTENCES), verbose=0)
    shutil.rmtree(source)
    sentences = tmp_path / "sentences.npy"
    np.save(sentences, np.array(SENTENCES, dtype=object))
    run_python(LOAD_AND_PREDICT, str(sentences), *expected)
    for path, values in expected.items():
        np.testing.assert_array_equal(np.load(f"{path}.npy"), values)


def test_saved_models_take_strings_and_need_only_tensorflow(
    source: str, tmp_path: Path
) -> None:
    expected = {}
    for mode in ("default", "elmo"):
        model = trained_model(source, mode)
        model.export(tmp_path / mode, verbose=False)
        expected[str(tmp_path / mode)] = predictions(model).ravel()
    printed = run_python(SERVE, *expected).splitlines()
    for line, values in zip(printed, expected.values(), strict=True):
        served = [float(x) for x in line.split()]
        np.testing.assert_allclose(served, values, atol=1e-6)


def test_a_loaded_model_trains_on(source: str, tmp_path: Path) -> None:
    model = trained_model(source)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [v.path for v in loaded.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]
    texts, labels = np.array(SENTENCES, dtype=object), np.arange(4.0)
    histories = [m.fit(texts, labels, epochs=2, verbose=0).history for m in (model, loaded)]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)


def test_weights_file(source: str, tmp_path: Path) -> None:
    model = trained_model(source)
    model.save_weights(tmp_path / "model.weights.h5")
    other = keras.models.clone_model(model)
    assert np.abs(predictions(other) - predictions(model)).max() > 1e-4
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(predictions(other), predictions(model))


def test_clone_and_set_weights(source: str) -> None:
    model = trained_model(source, "elmo")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(predictions(clone), predictions(model))
    assert len(clone.trainable_variables) == len(model.trainable_variables)


def test_json(source: str) -> None:
    model = trained_model(source)
    twin = keras.models.model_from_json(model.to_json())
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(predictions(twin), predictions(model))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {
            "output_mode": "elmo",
            "input_mode": "tokens",
            "fine_tune": "all",
            "pad_token": "<p>",
            "max_tokens": 7,
            "stateful": True,
            "engine": "native",
            "name": "my_elmo",
            "dtype": "mixed_float16",
            "trainable": False,
        },
    ],
)
def test_config_round_trip(source: str, arguments: dict[str, object]) -> None:
    layer = ElmoEmbeddingLayer(source, **arguments)
    config = layer.get_config()
    twin = ElmoEmbeddingLayer.from_config(config)
    assert twin.get_config() == config
    assert twin.config == layer.config
    for name in arguments.keys() - {"dtype"}:
        assert getattr(twin, name) == arguments[name]
    assert twin.dtype_policy.name == arguments.get("dtype", "float32")


def test_stateful_models_save(source: str, tmp_path: Path) -> None:
    inputs = keras.Input(batch_shape=(2,), dtype="string")
    layer = ElmoEmbeddingLayer(source, stateful=True)
    model = keras.Model(inputs, layer(inputs))
    model.predict(tf.constant(["a b", "c"]), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    following = tf.constant(["d", "e f"])
    np.testing.assert_array_equal(
        loaded.predict(following, verbose=0), model.predict(following, verbose=0)
    )


@keras.saving.register_keras_serializable(package="tests")
class Wrapper(keras.layers.Layer):
    """A layer of a user's own around ours, without a ``build`` of its own."""

    def __init__(self, source: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.elmo = ElmoEmbeddingLayer(source)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.elmo(inputs)


class Subclassed(keras.Model):
    """A user's own model."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elmo = ElmoEmbeddingLayer(source)
        self.dense = keras.layers.Dense(1)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.dense(self.elmo(inputs))


def test_the_weights_survive_wherever_the_first_call_is(tmp_path: Path) -> None:
    """Inside other layers and models, a function or a dataset."""
    source = str(saved_model(tmp_path, LEAST))
    expected = ElmoEmbeddingLayer(source)(SENTENCES)
    texts = tf.constant(SENTENCES)
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, Wrapper(source)(inputs))
    np.testing.assert_allclose(model.predict(texts, verbose=0), expected, atol=1e-6)
    layer = ElmoEmbeddingLayer(source)
    np.testing.assert_allclose(tf.function(layer)(texts), expected, atol=1e-6)
    layer = ElmoEmbeddingLayer(source)
    dataset = tf.data.Dataset.from_tensors(texts).map(layer)
    np.testing.assert_allclose(next(iter(dataset)), expected, atol=1e-6)
    for first in ("call", "predict", "fit"):
        own = Subclassed(source)
        own.compile("sgd", "mse")
        if first == "predict":
            own.predict(texts, verbose=0)
        elif first == "fit":
            own.fit(texts, np.zeros(4), verbose=0)
            own.elmo.scalar_mix.layer_weights.assign([0, 0])
            own.elmo.scalar_mix.gamma.assign(1)
        else:
            own(texts)
        np.testing.assert_allclose(own.elmo(SENTENCES), expected, atol=1e-6)


@pytest.mark.parametrize("called", [False, True])
def test_copies(source: str, called: bool) -> None:
    layer = ElmoEmbeddingLayer(source)
    if called:
        layer(SENTENCES)
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(copied(SENTENCES), layer(SENTENCES))


def test_a_sequential_model(source: str, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((), dtype="string"), ElmoEmbeddingLayer(source), keras.layers.Dense(1)]
    )
    expected = predictions(model)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        predictions(keras.saving.load_model(tmp_path / "model.keras")), expected
    )
