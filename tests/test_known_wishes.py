"""What people asked other implementations for and never got, a test for each.

Named after the issue: tensorflow/hub, and strongio/keras-elmo, the layer that the
article on ELMo in Keras comes with. ``test_oracles.py`` has token vectors with a mask
(tensorflow/hub 402), ``test_training.py`` fine-tuning (838).
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
    vectors = ElmoEmbeddingLayer(module, **arguments)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(vectors))
    model.compile("adam", "binary_crossentropy")
    return model


def test_tensorflow_hub_412_elmo_on_tensorflow_2(module: Path) -> None:
    """All five outputs of the module, eagerly, from its own files."""
    assert tf.executing_eagerly()
    expected = tf.saved_model.load(str(module), tags=[]).signatures["default"](
        strings=tf.constant(list(TEXTS))
    )
    for name, output in expected.items():
        found = ElmoEmbeddingLayer(module, name)(TEXTS)
        np.testing.assert_allclose(found, output, atol=1e-5)


@pytest.mark.parametrize("fine_tune", ["aggregation", "lstm", "all"])
def test_tensorflow_hub_416_gradients_of_a_tf1_module(module: Path, fine_tune: str) -> None:
    layer = ElmoEmbeddingLayer(module, fine_tune=fine_tune)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(layer(TEXTS)))
    gradients = tape.gradient(loss, [v.value for v in layer.trainable_variables])
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


@pytest.mark.parametrize("engine", ["native", "hub"])
def test_strongio_3_and_8_saving_the_model(
    module: Path, tmp_path: Path, engine: str
) -> None:
    """And loading it in a new process, without the module."""
    copy = Path(shutil.copytree(module, tmp_path / "module"))
    model = classifier(copy, engine=engine)
    model.fit(TEXTS, LABELS, verbose=0)
    expected = model.predict(TEXTS, verbose=0)
    path, texts = str(tmp_path / "model.keras"), str(tmp_path / "texts.npy")
    model.save(path)
    np.save(texts, TEXTS)
    shutil.rmtree(copy)
    run_python(LOAD_AND_PREDICT, texts, path)
    np.testing.assert_array_equal(np.load(f"{path}.npy"), expected)


def test_strongio_4_and_13_results_do_not_depend_on_the_batch_size(module: Path) -> None:
    model = classifier(module)
    expected = model.predict(TEXTS, batch_size=4, verbose=0)
    for batch_size in (1, 2, 3):
        found = model.predict(TEXTS, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_strongio_7_the_modules_trainable_weights_are_the_layers(module: Path) -> None:
    weights, gamma = ElmoEmbeddingLayer(module).trainable_weights
    np.testing.assert_array_equal(weights, MIX[0])
    np.testing.assert_array_equal(gamma, MIX[1])


def test_strongio_12_one_vector_per_token_into_an_lstm(module: Path) -> None:
    inputs = keras.Input((None,), dtype="string")
    vectors = ElmoEmbeddingLayer(module, "elmo", "tokens")(inputs)
    tagger = keras.Model(inputs, keras.layers.LSTM(3, return_sequences=True)(vectors))
    short = tagger(tf.constant([["New York", "is", "big"]]))
    padded = tagger(tf.constant([["New York", "is", "big", "--PAD--", ""]]))
    np.testing.assert_allclose(padded[:, :3], short, atol=1e-6)


def test_strongio_14_hdf5_weights_instead_of_the_hub(module: Path, source: str) -> None:
    """``source`` and ``module`` hold the same arrays in the two formats."""
    for mode in ("word_emb", "layers", "pooled_layers"):
        ours, theirs = (ElmoEmbeddingLayer(x, mode)(TEXTS) for x in (source, module))
        np.testing.assert_array_equal(ours, theirs)
