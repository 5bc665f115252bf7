"""What people asked other implementations for and never got, a test for each.

Named after the issue: tensorflow/hub, and strongio/keras-elmo, the layer that the
article on ELMo in Keras comes with.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from tests.hub.tf_hub_modules import MIX
from tests.processes import LOAD_AND_PREDICT, run_python

TEXTS = np.array(["a good film", "a bad film", "good", "so bad it hurts"], dtype=object)
LABELS = np.array([1.0, 0.0, 1.0, 0.0])


def classifier(module: Path | str, **arguments: object) -> keras.Model:
    inputs = keras.Input((1,), dtype="string")
    hidden = keras.layers.Dense(8, activation="relu")(
        ElmoEmbeddingLayer(module, **arguments)(inputs)
    )
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("adam", "binary_crossentropy")
    return model


def test_tensorflow_hub_402_token_vectors_with_a_mask(module: Path) -> None:
    vectors = ElmoEmbeddingLayer(module, "elmo")(TEXTS)
    assert vectors.shape == (4, 4, 16)
    np.testing.assert_array_equal(vectors._keras_mask.numpy().sum(axis=1), [3, 3, 1, 4])
    assert not vectors.numpy()[~vectors._keras_mask.numpy()].any()


def test_tensorflow_hub_412_elmo_on_tensorflow_2(module: Path) -> None:
    """All five outputs of the module, eagerly, from its own files."""
    assert tf.executing_eagerly()
    expected = tf.saved_model.load(str(module), tags=[]).signatures["default"](
        strings=tf.constant(list(TEXTS))
    )
    for name, output in expected.items():
        np.testing.assert_allclose(
            ElmoEmbeddingLayer(module, name)(TEXTS), output, atol=1e-5
        )


@pytest.mark.parametrize("fine_tune", ["aggregation", "lstm", "all"])
def test_tensorflow_hub_416_gradients_of_a_tf1_module(module: Path, fine_tune: str) -> None:
    layer = ElmoEmbeddingLayer(module, fine_tune=fine_tune)
    layer(TEXTS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(layer(TEXTS)))
    gradients = tape.gradient(loss, [v.value for v in layer.trainable_variables])
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


def test_tensorflow_hub_838_fine_tuning_in_a_keras_model(module: Path) -> None:
    model = classifier(module, fine_tune="lstm")
    before = [v.numpy() for v in model.trainable_variables]
    losses = model.fit(TEXTS, LABELS, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert len(before) == 14 + 4
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert (variable.numpy() != old).any(), variable.path


@pytest.mark.parametrize("engine", ["native", "hub"])
def test_strongio_3_saving_the_model(module: Path, tmp_path: Path, engine: str) -> None:
    model = classifier(module, engine=engine)
    model.fit(TEXTS, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0)
    )


def test_strongio_4_a_batch_of_one(module: Path) -> None:
    model = classifier(module)
    every = model.predict(TEXTS, verbose=0)
    for row in range(4):
        one = model.predict(TEXTS[row : row + 1], verbose=0)
        np.testing.assert_allclose(one, every[row : row + 1], atol=1e-6)


def test_strongio_7_the_modules_trainable_weights_are_the_layers(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module)
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, layer(inputs))
    weights, gamma = model.trainable_weights
    np.testing.assert_array_equal(weights, MIX[0])
    np.testing.assert_array_equal(gamma, MIX[1])
    assert sum(w.numpy().size for w in model.trainable_weights) == 4


def test_strongio_8_loading_in_another_session(module: Path, tmp_path: Path) -> None:
    """In a new process, without the module."""
    copy = Path(shutil.copytree(module, tmp_path / "module"))
    model = classifier(copy)
    expected = model.predict(TEXTS, verbose=0)
    path, texts = str(tmp_path / "model.keras"), str(tmp_path / "texts.npy")
    model.save(path)
    shutil.rmtree(copy)
    np.save(texts, TEXTS)
    run_python(LOAD_AND_PREDICT, texts, path)
    np.testing.assert_array_equal(np.load(f"{path}.npy"), expected)


def test_strongio_12_one_vector_per_token_into_an_lstm(module: Path) -> None:
    inputs = keras.Input((None,), dtype="string")
    vectors = ElmoEmbeddingLayer(module, "elmo", "tokens")(inputs)
    tagger = keras.Model(inputs, keras.layers.LSTM(3, return_sequences=True)(vectors))
    short = tagger(tf.constant([["New York", "is", "big"]]))
    padded = tagger(tf.constant([["New York", "is", "big", "--PAD--", ""]]))
    np.testing.assert_allclose(padded[:, :3], short, atol=1e-6)


def test_strongio_13_results_do_not_depend_on_the_batch_size(module: Path) -> None:
    model = classifier(module)
    expected = model.predict(TEXTS, batch_size=4, verbose=0)
    for batch_size in (1, 2, 3, 4):
        found = model.predict(TEXTS, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_strongio_14_hdf5_weights_instead_of_the_hub(module: Path, source: str) -> None:
    """``source`` and ``module`` hold the same arrays in the two formats."""
    for mode in ("word_emb", "layers", "pooled_layers"):
        np.testing.assert_array_equal(
            ElmoEmbeddingLayer(source, mode)(TEXTS), ElmoEmbeddingLayer(module, mode)(TEXTS)
        )
