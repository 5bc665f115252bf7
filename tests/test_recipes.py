"""What people build around the layer: each learns what it should, or has given values.

Left out, because other tests have it: masks in LSTM and attention layers, arrays and
tensors in ``fit`` (test_elmo_embedding_layer), Siamese models (examples), ways to save and
to clone (test_holding), datasets of texts (training/test_datasets).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.layers import Dense, TimeDistributed

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.training import unpadded
from tests.any_backend import symbolic
from tests.tiny_models import LEAST, random_arrays

pytestmark = pytest.mark.compiled

# Small, and with numbers from which a head learns fast.
SMALL = dataclasses.replace(LEAST, filters=((1, 24),))
ARRAYS = random_arrays(SMALL, 0)

RNG = np.random.default_rng(0)
WORDS = np.array(["the", "film", "good", "fine", "bad", "dull"])
LABELS = np.arange(40) % 2.0
# Some neutral words, then good or bad ones.
IDS = [
    [*RNG.integers(0, 2, RNG.integers(0, 3)), *RNG.integers(0, 2, RNG.integers(1, 4)) + end]
    for end in np.where(LABELS, 2, 4)
]
TEXTS = [" ".join(WORDS[ids]) for ids in IDS]
STRINGS = tf.constant(TEXTS)
LENGTHS = np.array([len(ids) for ids in IDS])
N_STEPS, N_TAGS = 5, 3
MASK = np.arange(N_STEPS) < LENGTHS[:, None]  # (40, 5)
TAGS = np.array([np.pad(ids, (0, N_STEPS - len(ids))) // 2 for ids in IDS])
QUIET: Any = {"verbose": 0, "shuffle": False}


def elmo(mode: str = "default", **arguments: Any) -> ElmoEmbeddingLayer:
    layer = ElmoEmbeddingLayer(SMALL, mode, **{"trainable": False, **arguments})
    layer.use_arrays(ARRAYS)
    return layer


def compiled(
    model: keras.Model, loss: Any = "binary_crossentropy", rate: float = 0.2
) -> keras.Model:
    model.compile(keras.optimizers.Adam(rate), loss, weighted_metrics=["accuracy"])
    return model


def probability() -> Dense:
    return Dense(1, activation="sigmoid")


# ------------------------------------------------------------------ labels of tokens


@pytest.fixture(scope="module")
def tagger() -> keras.Model:
    keras.utils.set_random_seed(0)
    text = symbolic("sentences")
    vectors = elmo("elmo", output_sequence_length=N_STEPS)(text)
    model = keras.Model(text, Dense(N_TAGS, activation="softmax")(vectors))
    compiled(model, "sparse_categorical_crossentropy")
    model.fit(STRINGS, TAGS, epochs=60, batch_size=40, **QUIET)
    return model


def test_tags_are_learned(tagger: keras.Model) -> None:
    scores = tagger.predict(STRINGS, verbose=0)  # (40, 5, 3)
    for found, tags, n in zip(unpadded(scores, MASK), TAGS, LENGTHS, strict=True):
        np.testing.assert_array_equal(found.argmax(axis=-1), tags[:n])


@pytest.mark.parametrize("weights", [None, "texts", "tokens"])
def test_the_loss_is_that_of_tokens(tagger: keras.Model, weights: str | None) -> None:
    """Labels at padding have no part in it, whatever they are."""
    scores = tagger.predict(STRINGS, verbose=0)
    losses = -np.log(np.take_along_axis(scores, TAGS[..., None], -1))[..., 0]  # (40, 5)
    sample_weight = {
        "texts": np.arange(40.0)[:, None] % 4,
        "tokens": np.arange(200.0).reshape(40, 5) % 3,
    }.get(weights or "")
    each = np.ones((40, 1)) if sample_weight is None else sample_weight
    # Keras divides by the number of tokens, not by the sum of their weights.
    expected = (losses * each * MASK).sum() / MASK.sum()
    for padding in (0, 2):
        tags = np.where(MASK, TAGS, padding)
        options = {"sample_weight": sample_weight, "batch_size": 40, "verbose": 0}
        loss, _ = tagger.evaluate(STRINGS, tags, **options)
        assert loss == pytest.approx(expected, rel=1e-4)


class LinearChain(keras.layers.Layer):
    """The log-likelihood of tags under a linear-chain CRF, at the tokens alone."""

    def __init__(self, n_tags: int) -> None:
        super().__init__()
        self.supports_masking = True
        self.transitions = self.add_weight((n_tags, n_tags), "normal", name="transitions")

    def call(self, scores: Any, tags: Any, mask: Any) -> Any:
        ops = keras.ops
        one_hot = ops.one_hot(tags, scores.shape[-1])  # (batch, time, n_tags)
        real = ops.cast(mask, "float32")  # (batch, time)
        steps = ops.sum((one_hot[:, :-1] @ self.transitions) * one_hot[:, 1:], axis=-1)
        of_tags = ops.sum(ops.sum(scores * one_hot, axis=-1) * real, axis=-1)
        of_tags += ops.sum(steps * real[:, 1:], axis=-1)  # (batch,)
        total = scores[:, 0]  # (batch, n_tags)
        for t in range(1, scores.shape[1]):
            onward = ops.logsumexp(total[:, :, None] + self.transitions, axis=1)
            total = ops.where(mask[:, t, None], onward + scores[:, t], total)
        return of_tags - ops.logsumexp(total, axis=-1)  # (batch,)

    def compute_mask(self, *_: Any) -> None:
        return None


@pytest.mark.slow
def test_conditional_random_field() -> None:
    text, tags = symbolic("sentences"), keras.Input((N_STEPS,), dtype="int32")
    layer = elmo("elmo", output_sequence_length=N_STEPS)
    vectors, mask = layer(text, return_mask=True)
    emissions, chain = Dense(N_TAGS), LinearChain(N_TAGS)
    model = keras.Model([text, tags], chain(emissions(vectors), tags, mask=mask))
    found = model.predict([STRINGS, TAGS], verbose=0)
    transitions = chain.transitions.numpy()
    scores = emissions(layer(STRINGS)).numpy()
    for row in range(8):
        n = LENGTHS[row]
        of_all = {
            path: sum(scores[row, range(n), [*path]])
            + sum(transitions[[*path[:-1]], [*path[1:]]])
            for path in itertools.product(range(N_TAGS), repeat=int(n))
        }
        expected = of_all[tuple(TAGS[row, :n])] - np.log(np.exp([*of_all.values()]).sum())
        np.testing.assert_allclose(found[row], expected, atol=1e-4)
    model.compile(keras.optimizers.Adam(0.2), loss=lambda _, likelihood: -likelihood)
    losses = model.fit([STRINGS, TAGS], np.zeros(40), epochs=60, batch_size=40, **QUIET)
    assert losses.history["loss"][-1] < 0.1 * losses.history["loss"][0]


# ------------------------------------------------------------------ from tokens to texts


class AttentionPooling(keras.layers.Layer):
    """A mean over tokens, weighted by a learned query."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_masking = True
        self.score = Dense(1)

    def call(self, x: Any, mask: Any = None) -> Any:
        scores = self.score(x)[..., 0]  # (batch, time)
        if mask is not None:  # as while Keras builds the layer
            scores = keras.ops.where(mask, scores, -1e9)
        weights = keras.ops.softmax(scores, axis=-1)
        return keras.ops.sum(weights[..., None] * x, axis=1)

    def compute_mask(self, *_: Any) -> None:
        return None


def attention() -> keras.Model:
    text = symbolic("sentences")
    return keras.Model(text, probability()(AttentionPooling()(elmo("elmo")(text))))


def pooled() -> keras.Model:
    text = symbolic("sentences")
    return keras.Model(text, probability()(elmo()(text)))


@pytest.mark.parametrize("build", [pytest.param(attention, marks=pytest.mark.slow), pooled])
def test_a_text_has_its_vector_in_any_batch_and_learns(
    build: Callable[[], keras.Model],
) -> None:
    model = compiled(build())
    together = model.predict(STRINGS, verbose=0)
    alone = np.concatenate([model.predict_on_batch(STRINGS[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(alone, together[:6], atol=1e-5)
    model.fit(STRINGS, LABELS, epochs=60, batch_size=40, **QUIET)
    assert model.evaluate(STRINGS, LABELS, verbose=0)[1] > 0.9


@pytest.mark.slow
def test_sentences_of_documents() -> None:
    """A document is good if one of its two sentences is."""
    document, layer = keras.Input((2, 1), dtype="string"), elmo(trainable=True)
    vectors = TimeDistributed(layer)(document)  # (batch, 2, D)
    pairs, labels = tf.reshape(STRINGS, (20, 2, 1)), LABELS.reshape(20, 2).max(axis=1)
    found = keras.Model(document, vectors).predict(pairs, verbose=0)
    np.testing.assert_allclose(found.reshape(40, -1), layer(STRINGS), atol=1e-6)
    scores = probability()(keras.layers.Flatten()(vectors))
    model = compiled(keras.Model(document, scores))
    model.fit(pairs, labels, epochs=60, **QUIET)
    assert model.evaluate(pairs, labels, verbose=0)[1] > 0.9


# ------------------------------------------------------------------ several inputs


def test_several_inputs() -> None:
    """Two texts through one layer, and numbers: whether the one with more words is good."""
    left, right = symbolic("sentences"), symbolic("sentences")
    numbers, layer = keras.Input((2,)), elmo(trainable=True)
    joined = keras.layers.Concatenate()([layer(left), layer(right), numbers])
    model = compiled(keras.Model([left, right, numbers], probability()(joined)))
    inputs = [STRINGS, tf.reverse(STRINGS, [0]), RNG.normal(size=(40, 2))]
    labels = (inputs[2][:, 0] > 0).astype(float)
    model.fit(inputs, labels, epochs=60, batch_size=40, **QUIET)
    assert model.evaluate(inputs, labels, verbose=0)[1] > 0.9
    assert sum(isinstance(each, ElmoEmbeddingLayer) for each in model.layers) == 1
