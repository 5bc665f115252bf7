"""Every way that Keras offers to hold the layer: saved, loaded, exported, cloned.

Runs on every backend; on others than TensorFlow with character ids.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from tests.any_backend import BACKEND, fed, symbolic, to_numpy
from tests.tiny_models import LEAST

# Keras says it of every layer without a build, and then finds its variables.
NO_BUILD = pytest.mark.filterwarnings(r"ignore:`build\(\)` was called on layer")
pytestmark = [pytest.mark.any_backend, NO_BUILD]

MODE = "sentences" if BACKEND == "tensorflow" else "character_ids"
TOKENS = [["the", "cat", "sat"], ["a"], [], ["naïve", "café"]]
register = keras.saving.register_keras_serializable(package="tests")


def elmo(mode: str = "default", source: str | None = None) -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(source or LEAST, mode, MODE, name="elmo")


@register
class Head(keras.Layer):
    """A layer of a user's own, without a ``build``."""

    def __init__(self, source: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.elmo, self.dense = elmo(source=source), keras.layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(self.elmo(inputs))


@register
class Scorer(keras.Model):
    """A model of a user's own."""

    def __init__(self, source: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.elmo, self.dense = elmo(source=source), keras.layers.Dense(2)

    call = Head.call


@register
class Around(keras.Model):
    """One around a layer of a user's own, and around a functional model."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.head, self.inner, self.dense = Head(), functional(), keras.layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.dense(self.head(inputs) + self.inner(inputs))


@register
def same(inputs: Any) -> Any:
    return inputs


def functional(*middle: Any, mode: str = "default", first: Any = None) -> keras.Model:
    inputs = symbolic(MODE)
    x = inputs if first is None else first(inputs)
    for layer in (elmo(mode), *middle, keras.layers.Dense(2)):
        x = layer(x)
    return keras.Model(inputs, x)


def of_documents() -> keras.Model:
    """Each text as the one sentence, or the one of three that there is, of a document."""
    inputs = symbolic(MODE)
    shape = (1, 1) if MODE == "sentences" else (1, 3, 50)
    documents = keras.layers.Reshape(shape)(inputs)
    vectors = keras.layers.TimeDistributed(elmo())(documents)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(vectors)))


def around(inner: Any) -> keras.Model:
    inputs = symbolic(MODE)
    return keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))


def sequential(*layers: Any) -> keras.Model:
    return keras.Sequential([symbolic(MODE), *layers, keras.layers.Dense(2)])


WAYS: dict[str, Callable[[], keras.Model]] = {
    "functional": functional,
    "sequential": lambda: sequential(elmo()),
    "subclassed model": Scorer,
    "subclassed layer": lambda: around(Head()),
    "subclassed layer in sequential": lambda: sequential(Head()),
    "subclassed model in functional": lambda: around(Scorer()),
    "both, and functional, in subclassed": Around,
    "nested functional": lambda: around(functional()),
    "sequential in sequential": lambda: sequential(sequential(elmo())),
    "bidirectional after it": lambda: functional(
        keras.layers.Bidirectional(keras.layers.LSTM(3)), mode="elmo"
    ),
    "lambda before it": lambda: functional(
        first=keras.layers.Lambda(same, output_shape=symbolic(MODE).shape[1:])
    ),
    "time distributed": of_documents,
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[Callable[[], keras.Model], keras.Model]:
    """What makes a model, and one that has been trained."""
    make = WAYS[request.param]
    model = make()
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(fed(TOKENS, MODE), np.ones((4, 2)), verbose=0)
    return make, model


def check_same(found: Any, model: keras.Model) -> None:
    texts = fed(TOKENS, MODE)
    np.testing.assert_allclose(to_numpy(found(texts)), to_numpy(model(texts)), atol=1e-6)


def test_keras_file(way: Any, tmp_path: Path) -> None:
    _, model = way
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    check_same(loaded, model)


@pytest.mark.parametrize(
    "way",
    ["functional", "subclassed model", "both, and functional, in subclassed"],
    indirect=True,  # a .keras file holds the same, written by the same code of Keras
)
def test_weights(way: Any, tmp_path: Path) -> None:
    make, model = way
    model.save_weights(tmp_path / "model.weights.h5")
    other = make()
    other(fed(TOKENS, MODE))  # which builds subclassed models
    other.load_weights(tmp_path / "model.weights.h5")
    check_same(other, model)


def test_clone(way: Any) -> None:
    make, model = way
    if make in (Scorer, Around):
        pytest.skip("Keras clones functional and Sequential models only")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    check_same(clone, model)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_export(way: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    make, model = way
    signature = None
    if make in (Scorer, Around):
        signature = [keras.InputSpec(shape=(None,), dtype="string")]
    model.export(tmp_path / "out", input_signature=signature, verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    check_same(loaded.serve, model)


@pytest.mark.tensorflow
def test_a_subclassed_model_says_how_it_is_exported(tmp_path: Path) -> None:
    model = Scorer()
    model(fed(TOKENS, MODE))
    with pytest.raises(TypeError, match=r"model.export\(path, input_signature=\[keras.Inp"):
        model.export(tmp_path / "out", verbose=False)


def test_inputs_that_are_not_declared() -> None:
    """An error at once, or at the first call if Keras hides the input from the layer."""
    with pytest.raises(TypeError, match=r"got float32 .* Declare the model's input: keras"):
        elmo()(keras.Input(symbolic(MODE).shape[1:]))
    with pytest.raises(TypeError, match=r"got float32 .* Declare the model's input: keras"):
        keras.Sequential([elmo(), keras.layers.Dense(2)])(fed(TOKENS, MODE))
    numbers = keras.Input(symbolic(MODE).shape[1:])
    vectors = elmo()(keras.layers.Activation("linear")(numbers))
    with pytest.raises(TypeError, match=r"inputs: .* got float32 of shape"):
        keras.Model(numbers, vectors)(np.ones((4, *[3, 50][: len(numbers.shape) - 1])))
