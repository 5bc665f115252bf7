"""What is trained, and that it moves."""

from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from keras_elmo.types import OutputMode

TEXTS = np.array(["a good film", "a bad film", "good", "so bad it hurts"], dtype=object)
LABELS = np.array([1.0, 0.0, 1.0, 0.0])

MIX = {"scalar_mix/layer_weights", "scalar_mix/gamma"}
TOKEN_ENCODER = {
    "bilm/token_encoder/char_embedding",
    *(
        f"bilm/token_encoder/convolution_{i}_{part}"
        for i in range(3)
        for part in ("kernel", "bias")
    ),
    *(
        f"bilm/token_encoder/highway_{i}/{gate}_{part}"
        for i in range(2)
        for gate in ("carry", "transform")
        for part in ("kernel", "bias")
    ),
    "bilm/token_encoder/projection/kernel",
    "bilm/token_encoder/projection/bias",
}


def lstms(depth: int) -> set[str]:
    return {
        f"bilm/lstms/{direction}_{layer}/cell/{name}"
        for direction in ("forward", "backward")
        for layer in range(depth)
        for name in ("kernel", "bias", "projection_kernel")
    }


def intended(mode: str, fine_tune: str) -> set[str]:
    depth = {"word_emb": 0, "lstm_outputs1": 1}.get(mode, 2)
    names = set(MIX) if mode in ("default", "elmo") else set()
    if fine_tune in ("lstm", "all"):
        names |= lstms(depth)
    if fine_tune == "all":
        names |= TOKEN_ENCODER
    return names


def paths(layer: ElmoEmbeddingLayer) -> dict[str, keras.Variable]:
    return {v.path.split("/", 1)[1]: v for v in layer.variables}


def model_of(layer: ElmoEmbeddingLayer) -> keras.Model:
    inputs = keras.Input((), dtype="string")
    outputs = layer(inputs)
    if len(outputs.shape) > 2:
        outputs = keras.layers.Flatten()(keras.ops.sum(outputs, axis=1))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(outputs))


@pytest.mark.parametrize("fine_tune", ["aggregation", "lstm", "all"])
@pytest.mark.parametrize("mode", get_args(OutputMode))
def test_fit_moves_what_is_intended_and_nothing_else(
    source: str, mode: str, fine_tune: str
) -> None:
    layer = ElmoEmbeddingLayer(source, mode, fine_tune=fine_tune, name="elmo")
    model = model_of(layer)
    variables = paths(layer)
    before = {name: v.numpy() for name, v in variables.items()}
    trainable = {name for name, v in variables.items() if v.trainable}
    assert trainable == intended(mode, fine_tune)
    # Plain gradient descent moves nothing that has no gradient. In graphs, which take
    # long to make, no LSTM, one and two of them are enough.
    eagerly = mode not in ("word_emb", "lstm_outputs1", "elmo")
    sgd = keras.optimizers.SGD(0.5)
    model.compile(sgd, "binary_crossentropy", run_eagerly=eagerly)
    model.fit(TEXTS, LABELS, verbose=0)
    moved = {name for name, v in variables.items() if (v.numpy() != before[name]).any()}
    assert moved == trainable


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
    model.fit(TEXTS, LABELS, verbose=0)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert (variable.numpy() != old).any(), variable.path


def test_trainable_can_be_switched(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, fine_tune="lstm", trainable=False)
    layer(["a"])
    assert layer.trainable_variables == []
    assert not any(v.trainable for v in layer.variables)
    layer.trainable = True
    assert len(layer.trainable_variables) == 14
    model = model_of(layer)
    model.trainable = False
    assert model.trainable_variables == []
    model.trainable = True
    assert len(layer.trainable_variables) == 14
    assert not layer.bilm.token_encoder.trainable_variables


def test_gradient_of_the_mix_against_finite_differences(source: str) -> None:
    layer = ElmoEmbeddingLayer(source)
    texts = tf.constant(list(TEXTS))
    layer(texts)
    direction = tf.random.normal((4, 16), seed=0)

    def loss() -> tf.Tensor:
        return tf.reduce_sum(tf.sin(layer(texts)) * direction)

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, [v.value for v in layer.trainable_variables])
    assert len(gradients) == 2
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        start = variable.numpy()
        for index in np.ndindex(start.shape):
            step = np.zeros_like(start)
            step[index] = 1e-2
            variable.assign(start + step)
            above = loss()
            variable.assign(start - step)
            below = loss()
            variable.assign(start)
            difference = float(above - below) / 2e-2
            assert gradient.numpy()[index] == pytest.approx(difference, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("fine_tune", ["lstm", "all"])
def test_fine_tuning_lowers_the_loss(source: str, fine_tune: str) -> None:
    model = model_of(ElmoEmbeddingLayer(source, fine_tune=fine_tune))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    losses = model.fit(TEXTS, LABELS, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_padding_has_no_gradient(source: str) -> None:
    """Training on a padded batch is training on the sentences, each by itself."""
    layer = ElmoEmbeddingLayer(source, fine_tune="all")
    layer(["a"])
    variables = [v.value for v in layer.trainable_variables]

    def gradients(batches: list[list[str]]) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            loss = sum(tf.reduce_sum(tf.sin(layer(batch))) for batch in batches)
        return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, variables)]

    together = gradients([list(TEXTS)])
    apart = gradients([[text] for text in TEXTS])
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * max(1, np.abs(one).max()))
