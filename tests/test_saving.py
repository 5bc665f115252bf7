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
from keras_elmo.text.tokenization import split_text
from tests.any_backend import fed, symbolic
from tests.processes import LOAD_AND_PREDICT, SERVE, run_python
from tests.test_holding import NO_BUILD, Head, Scorer
from tests.tiny_models import LEAST, saved_model

SENTENCES = ["the cat sat on the mat", "a", "", "naïve café"]
TEXTS, LABELS = np.array(SENTENCES, dtype=object), np.arange(4.0)


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
    model.fit(TEXTS, LABELS, epochs=2, verbose=0)
    model.compile(model.optimizer, "mse")
    return model


def predictions(model: keras.Model) -> np.ndarray:
    return model(tf.constant(SENTENCES)).numpy()


@pytest.mark.slow  # two new processes
def test_files_in_a_new_process(tmp_path: Path) -> None:
    """A ``.keras`` file without the source; a SavedModel with TensorFlow alone."""
    source = saved_model(tmp_path / "source")
    expected, served = {}, {}
    for mode in ("default", "elmo"):
        model = trained_model(source, mode, fine_tune="lstm")
        model.save(tmp_path / f"{mode}.keras")
        model.export(tmp_path / mode, verbose=False)
        expected[str(tmp_path / f"{mode}.keras")] = model.predict(TEXTS, verbose=0)
        served[str(tmp_path / mode)] = predictions(model).ravel()
    shutil.rmtree(source)
    sentences = tmp_path / "sentences.npy"
    np.save(sentences, TEXTS)
    run_python(LOAD_AND_PREDICT, str(sentences), *expected)
    for path, values in expected.items():
        np.testing.assert_array_equal(np.load(f"{path}.npy"), values)
    printed = run_python(SERVE, *served).splitlines()
    for line, values in zip(printed, served.values(), strict=True):
        np.testing.assert_allclose([float(x) for x in line.split()], values, atol=1e-6)


def test_a_loaded_model_trains_on(source: str, tmp_path: Path) -> None:
    model = trained_model(source)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    paths = [[v.path for v in m.trainable_variables] for m in (model, loaded)]
    assert paths[0] == paths[1]
    histories = [m.fit(TEXTS, LABELS, epochs=2, verbose=0).history for m in (model, loaded)]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)


def test_configurations(source: str) -> None:
    """They hold no weights; test_holding.py clones."""
    model = trained_model(source, "elmo")
    clone = keras.models.clone_model(model)
    assert np.abs(predictions(clone) - predictions(model)).max() > 1e-4
    twin = keras.models.model_from_json(model.to_json())
    twin.set_weights(model.get_weights())
    assert len(twin.trainable_variables) == len(model.trainable_variables)
    np.testing.assert_array_equal(predictions(twin), predictions(model))


@pytest.mark.parametrize("input_mode", ["sentences", "character_ids"])
def test_one_layer_twice_in_a_file(tmp_path: Path, input_mode: str) -> None:
    """Each call's mask stays with its own input, also if only one of them is used."""
    inputs = [symbolic(input_mode) for _ in range(2)]
    layer = ElmoEmbeddingLayer(LEAST, "elmo", input_mode)
    left, right = (layer(x) for x in inputs)
    outputs = [keras.ops.sum(left, axis=1), keras.layers.LSTM(2)(right)]
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    tokens = [s.split() for s in SENTENCES]
    texts = [fed(half, input_mode) for half in (tokens[:2], tokens[2:])]
    for found, expected in zip(loaded(texts), model(texts), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow  # an export each
@pytest.mark.parametrize(("split", "engine"), [("words", "native"), ("character", "hub")])
def test_the_split_goes_with_the_model(
    split: str, engine: str, module: Path, tmp_path: Path
) -> None:
    raw = ["It isn't bad... \u3000हिन्दी", "", "naïve café\n"]
    text = keras.Input((), dtype="string")
    layer = ElmoEmbeddingLayer(module, engine=engine, split=split)
    if engine == "native":
        layer.cache_vocabulary(["bad", "...", "b"])
    model = keras.Model(text, layer(text))
    plain = ElmoEmbeddingLayer(module)([" ".join(split_text(t, split)) for t in raw])
    np.testing.assert_allclose(model(tf.constant(raw)), plain, atol=1e-5)
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "served", verbose=False)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    served = tf.saved_model.load(tmp_path / "served")
    for function in (loaded, served.serve):
        np.testing.assert_allclose(function(tf.constant(raw)), plain, atol=1e-5)


@NO_BUILD
def test_the_weights_survive_wherever_the_first_call_is(tmp_path: Path) -> None:
    """Inside other layers and models, a function or a dataset."""
    source = str(saved_model(tmp_path, LEAST))
    texts, inputs = tf.constant(SENTENCES), keras.Input((), dtype="string")
    head = Head(source)
    keras.Model(inputs, head(inputs))
    dataset = tf.data.Dataset.from_tensors(texts).map(ElmoEmbeddingLayer(source))
    found = [
        head.elmo(SENTENCES),
        tf.function(ElmoEmbeddingLayer(source))(texts),
        next(iter(dataset)),
    ]
    for first in ("call", "predict", "fit"):
        own = Scorer(source)
        own.compile(keras.optimizers.SGD(0.0), "mse")
        if first == "predict":
            own.predict(texts, verbose=0)
        elif first == "fit":
            own.fit(texts, np.zeros((4, 2)), verbose=0)
        else:
            own(texts)
        found.append(own.elmo(SENTENCES))
    expected = ElmoEmbeddingLayer(source)(SENTENCES)
    for vectors in found:
        np.testing.assert_allclose(vectors, expected, atol=1e-6)


@pytest.mark.parametrize("called", [False, True])
def test_copies(source: str, called: bool) -> None:
    layer = ElmoEmbeddingLayer(source)
    if called:
        layer(SENTENCES)
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(copied(SENTENCES), layer(SENTENCES))
