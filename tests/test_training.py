"""What is trained, and that it moves; on every backend with character ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from keras_elmo.types import OutputMode
from tests.any_backend import STRINGS_OR_IDS, fed, marked, model_of, reloaded, to_numpy

pytestmark = pytest.mark.any_backend

TEXTS = ["a good film", "a bad film", "good", "so bad it hurts"]
TOKENS = [text.split() for text in TEXTS]
LABELS = np.array([1.0, 0.0, 1.0, 0.0])

MIX = {"scalar_mix/layer_weights", "scalar_mix/gamma"}
TOKEN_ENCODER = {"char_embedding", "projection/kernel", "projection/bias"} | {
    f"{name}_{part}"
    for name in (
        *(f"convolution_{i}" for i in range(3)),
        *(f"highway_{i}/{gate}" for i in range(2) for gate in ("carry", "transform")),
    )
    for part in ("kernel", "bias")
}


def intended(mode: str, fine_tune: str) -> set[str]:
    """The paths of the variables that training moves."""
    depth = {"word_emb": 0, "lstm_outputs1": 1}.get(mode, 2)
    names = set(MIX) if mode in ("default", "elmo") else set()
    if fine_tune in ("lstm", "all"):
        names |= {
            f"native/bilm/lstms/{direction}_{layer}/cell/{name}"
            for direction in ("forward", "backward")
            for layer in range(depth)
            for name in ("kernel", "recurrent_kernel", "bias", "projection_kernel")
        }
    if fine_tune == "all":
        names |= {f"native/bilm/token_encoder/{name}" for name in TOKEN_ENCODER}
    return names


def flat(outputs: Any) -> Any:
    if len(outputs.shape) > 2:
        outputs = keras.layers.Flatten()(keras.ops.sum(outputs, axis=1))
    return outputs


def classifier(layer: ElmoEmbeddingLayer) -> keras.Model:
    return model_of(layer, flat, keras.layers.Dense(1, activation="sigmoid"))


# Each with what the others leave out, and strings once: graphs take long to make.
GRAPHS = marked(
    ("word_emb", "all", "character_ids"),
    ("lstm_outputs1", "all", "character_ids"),
    ("elmo", "lstm", "character_ids"),
    ("elmo", "lstm", "tokens"),
)
# The rest of what moves is a union of parts of these.
EAGERLY = [("default", "aggregation")] + [
    (mode, "all")
    for mode in get_args(OutputMode)
    if (mode, "all", "character_ids") not in GRAPHS
]


@pytest.mark.parametrize("fine_tune", ["aggregation", "lstm", "all"])
@pytest.mark.parametrize("mode", get_args(OutputMode))
def test_what_is_trainable(source: str, mode: str, fine_tune: str) -> None:
    layer = ElmoEmbeddingLayer(source, mode, "character_ids", fine_tune=fine_tune)
    layer.build((None, None, 50))
    paths = {v.path.split("/", 1)[1] for v in layer.trainable_variables}
    assert paths == intended(mode, fine_tune)


def check_fit(layer: ElmoEmbeddingLayer, eagerly: bool) -> keras.Model:
    """Fits once; plain gradient descent moves nothing that has no gradient."""
    model = classifier(layer)
    variables = {v.path.split("/", 1)[1]: v for v in layer.variables}
    before = {name: to_numpy(v).copy() for name, v in variables.items()}
    sgd = keras.optimizers.SGD(0.5)
    model.compile(sgd, "binary_crossentropy", run_eagerly=eagerly)
    model.fit(fed(TOKENS, layer.input_mode), LABELS, verbose=0)
    moved = {name for name, v in variables.items() if (to_numpy(v) != before[name]).any()}
    assert moved == intended(layer.output_mode, layer.fine_tune)
    return model


@pytest.mark.tensorflow
@pytest.mark.parametrize(("mode", "fine_tune"), EAGERLY)
def test_fit_moves_what_is_intended(source: str, mode: str, fine_tune: str) -> None:
    check_fit(ElmoEmbeddingLayer(source, mode, fine_tune=fine_tune), eagerly=True)


@pytest.mark.parametrize(("mode", "fine_tune", "input_mode"), GRAPHS)
def test_fit_in_a_graph_and_a_file(
    source: str, mode: str, fine_tune: str, input_mode: str, tmp_path: Path
) -> None:
    layer = ElmoEmbeddingLayer(source, mode, input_mode, fine_tune=fine_tune)
    model = check_fit(layer, eagerly=False)
    loaded = reloaded(model, tmp_path)
    inputs = fed(TOKENS, input_mode)
    found, expected = (m.predict(inputs, verbose=0) for m in (loaded, model))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_seeds_model_at_full_size() -> None:
    """262,661 trainable parameters, 4 of them the layer's, and fit moves all of them."""
    inputs = keras.Input((1,), dtype="string")
    layer = ElmoEmbeddingLayer(ElmoConfig())
    hidden = keras.layers.Dense(256, activation="relu")(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert count == 262_661
    assert sum(int(np.prod(v.shape)) for v in layer.trainable_variables) == 4
    assert layer.count_params() == 93_600_848 + 4
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(np.array(TEXTS, dtype=object), LABELS, verbose=0)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert (variable.numpy() != old).any(), variable.path


def test_trainable_can_be_switched(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "default", "character_ids", "lstm", trainable=False)
    layer(fed([["a"]], "character_ids"))
    assert layer.trainable_variables == []
    assert not any(v.trainable for v in layer.variables)
    layer.trainable = True
    assert len(layer.trainable_variables) == 18
    model = classifier(layer)
    model.trainable = False
    assert model.trainable_variables == []
    model.trainable = True
    assert len(layer.trainable_variables) == 18
    assert not layer.bilm.token_encoder.trainable_variables


@pytest.mark.tensorflow
@pytest.mark.parametrize("input_mode", STRINGS_OR_IDS)
def test_padding_has_no_gradient(source: str, input_mode: str) -> None:
    """Training on a padded batch is training on the sentences, each by itself."""
    import tensorflow as tf

    layer = ElmoEmbeddingLayer(source, input_mode=input_mode, fine_tune="all")
    variables = [v.value for v in layer.trainable_variables]

    def gradients(batches: list[list[list[str]]]) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            outputs = [layer(fed(batch, input_mode), training=True) for batch in batches]
            loss = sum(tf.reduce_sum(tf.sin(output)) for output in outputs)
        return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, variables)]

    together = gradients([TOKENS])
    apart = gradients([[tokens] for tokens in TOKENS])
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * max(1, np.abs(one).max()))
