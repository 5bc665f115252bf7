"""What people build around the layer: each learns what it should, or has given values.

Other tests have masks in LSTM and attention layers, and arrays and tensors in ``fit``
(test_elmo_embedding_layer), named entities on WNUT-17 and Siamese models (examples), ways
to save and to clone (test_holding), datasets of texts (training/test_datasets), and heads
on stored features that are joined with the layer (training/test_heads).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.layers import Concatenate, Conv1D, Dense, GlobalAveragePooling1D, TimeDistributed

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, compute_features
from keras_elmo.training import unpadded
from tests.any_backend import symbolic
from tests.tiny_models import LEAST, random_arrays

pytestmark = pytest.mark.compiled

# Small, and with numbers from which a head learns fast.
SMALL = dataclasses.replace(LEAST, filters=((1, 24),))
ARRAYS = random_arrays(SMALL, 0)

RNG = np.random.default_rng(0)
WORDS = np.array(["the", "film", "good", "fine", "bad", "dull"])
LABELS = np.arange(40, dtype="float32")[:, None] % 2  # (40, 1)
# Some neutral words, then good or bad ones.
IDS = [
    [*RNG.integers(0, 2, RNG.integers(0, 3)), *RNG.integers(0, 2, RNG.integers(1, 4)) + end]
    for end in np.where(LABELS[:, 0], 2, 4)
]
TEXTS = [" ".join(WORDS[ids]) for ids in IDS]
STRINGS = tf.constant(TEXTS)
ORDER = RNG.permutation(40)
LENGTHS = np.array([len(ids) for ids in IDS])
N_STEPS, N_TAGS = 5, 3
MASK = np.arange(N_STEPS) < LENGTHS[:, None]  # (40, 5)
TAGS = np.array([np.pad(ids, (0, N_STEPS - len(ids))) // 2 for ids in IDS])
QUIET: Any = {"verbose": 0, "shuffle": False}


def elmo(mode: str = "default", **arguments: Any) -> ElmoEmbeddingLayer:
    layer = ElmoEmbeddingLayer(SMALL, mode, **{"trainable": False, **arguments})
    layer.use_arrays(ARRAYS)
    return layer


def learned(
    model: keras.Model, x: Any, y: Any, loss: Any = "binary_crossentropy", rate: float = 0.1
) -> np.ndarray:
    """What a model predicts after 120 steps."""
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(tf.data.Dataset.from_tensors((x, y)).repeat(120), **QUIET)
    return np.array(model(x))


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean((probabilities > 0.5) == (labels > 0.5)))


def probability() -> Dense:
    return Dense(1, activation="sigmoid")


# ------------------------------------------------------------------ labels of tokens


def test_tags() -> None:
    """Each token's is learned. Labels at padding have no part in it, whatever they are."""
    text = symbolic("sentences")
    vectors = elmo("elmo", output_sequence_length=N_STEPS)(text)
    model = keras.Model(text, Dense(N_TAGS, activation="softmax")(vectors))
    scores = learned(model, STRINGS, TAGS, "sparse_categorical_crossentropy")  # (40, 5, 3)
    for found, tags, n in zip(unpadded(scores, MASK), TAGS, LENGTHS, strict=True):
        np.testing.assert_array_equal(found.argmax(axis=-1), tags[:n])
    losses = -np.log(np.take_along_axis(scores, TAGS[..., None], -1))[..., 0]  # (40, 5)
    of_texts, of_tokens = np.arange(40)[:, None] % 4, np.arange(200).reshape(40, 5) % 3
    for weights, padding in itertools.product((None, of_texts, of_tokens), (0, 2)):
        each = np.ones((40, 1)) if weights is None else weights
        # Keras divides by the number of tokens, not by the sum of their weights.
        expected = (losses * each * MASK).sum() / MASK.sum()
        tags = tf.constant(np.where(MASK, TAGS, padding))
        weights = None if weights is None else tf.constant(weights, tf.float32)
        loss = model.compute_loss(None, tags, model(STRINGS), weights)
        assert float(loss) == pytest.approx(expected, rel=1e-4)


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
    model = keras.Model((text, tags), chain(emissions(vectors), tags, mask=mask))
    inputs = (STRINGS, tf.constant(TAGS, tf.int32))
    found = np.array(model(inputs))
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
    after = learned(model, inputs, LABELS, lambda _, likelihood: -likelihood)
    assert after.mean() > 0.1 * found.mean()


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


def pooled_in_three_ways() -> keras.Model:
    """By attention; by convolution, whose layer passes no mask on; by the masked mean."""
    text = symbolic("sentences")
    vectors, mask = elmo("elmo")(text, return_mask=True)
    windows = Conv1D(8, 3, padding="same", activation="tanh")(vectors)
    of_windows = GlobalAveragePooling1D()(windows, mask=mask)
    pooled = [AttentionPooling()(vectors), of_windows, GlobalAveragePooling1D()(vectors)]
    return keras.Model(text, Concatenate()([probability()(each) for each in pooled]))


class Sequence(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = slice(10 * index, 10 * index + 10)
        return STRINGS[rows], np.repeat(LABELS[rows], 3, 1)


def generator() -> Iterator[tuple[Any, Any]]:
    yield from map(Sequence().__getitem__, itertools.cycle(range(4)))


def lines(folder: Path) -> tf.data.Dataset:
    """Of a file with a label before each text."""
    rows = [f"{label:.0f}\t{text}" for label, text in zip(LABELS[:, 0], TEXTS, strict=True)]
    (folder / "texts.tsv").write_text("\n".join(rows))

    def parsed(line: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        label, text = tf.unstack(tf.strings.split(line, "\t", maxsplit=1), num=2)
        return text, tf.fill([3], tf.strings.to_number(label))

    dataset = tf.data.TextLineDataset(str(folder / "texts.tsv")).map(parsed)
    return dataset.shuffle(40, seed=0).batch(11).prefetch(1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer 'conv1d.*was passed an input with a mask")
def test_ways_to_pool_and_to_feed(tmp_path: Path) -> None:
    """A text has the same vector in any batch; a model goes on learning from each feed."""
    model = pooled_in_three_ways()
    together = model(STRINGS)
    alone = np.concatenate([model.predict_on_batch(STRINGS[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(alone, together[:6], atol=1e-5)
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy")
    losses = [
        model.fit(feed, epochs=2, steps_per_epoch=4, **QUIET).history["loss"][-1]
        for feed in (lines(tmp_path).repeat(), Sequence(), generator())
    ]
    assert losses == sorted(losses, reverse=True)
    labels = np.repeat(LABELS, 3, axis=1)
    assert np.all(np.mean((learned(model, STRINGS, labels) > 0.5) == labels, axis=0) > 0.9)


@pytest.mark.slow
def test_sentences_of_documents() -> None:
    """A document is good if one of its two sentences is."""
    document, layer = keras.Input((2, 1), dtype="string"), elmo(trainable=True)
    vectors = TimeDistributed(layer)(document)  # (batch, 2, D)
    pairs = tf.reshape(tf.gather(STRINGS, ORDER), (20, 2, 1))
    labels = LABELS[ORDER].reshape(20, 2).max(axis=1, keepdims=True)
    found = np.array(keras.Model(document, vectors)(pairs))
    np.testing.assert_allclose(
        found.reshape(40, -1), layer(pairs[..., 0].numpy().ravel()), atol=1e-6
    )
    best = keras.layers.GlobalMaxPooling1D()(probability()(vectors))  # (batch, 1)
    model = keras.Model(document, best)
    assert accuracy(learned(model, pairs, labels), labels) > 0.9


# ------------------------------------------------------------------ several inputs, phases


@pytest.mark.slow
def test_several_inputs() -> None:
    """Two texts through one layer, and numbers: whether most of the three are good."""
    left, right = symbolic("sentences"), symbolic("sentences")
    numbers, layer = keras.Input((2,)), elmo(trainable=True)
    joined = Concatenate()([layer(left), layer(right), numbers])
    model = keras.Model((left, right, numbers), probability()(joined))
    values = RNG.normal(size=(40, 2)).astype("float32")
    labels = LABELS + LABELS[ORDER] + (values[:, :1] > 0) > 1  # (40, 1)
    inputs = (STRINGS, tf.gather(STRINGS, ORDER), tf.constant(values))
    assert accuracy(learned(model, inputs, labels), labels) > 0.9
    assert sum(isinstance(each, ElmoEmbeddingLayer) for each in model.layers) == 1


def test_folds_of_stored_features(tmp_path: Path) -> None:
    """Features once, a head for each fold; the mix is trained too."""
    path = tmp_path / "features.npy"
    features = compute_features(elmo("pooled_layers"), TEXTS, path, pooled=True)
    features, right = np.asarray(features), []  # (40, 2, D)
    np.testing.assert_allclose(features.mean(axis=1), elmo()(STRINGS), atol=1e-6)
    for fold in range(4):
        test = fold == ORDER % 4
        mix = ScalarMix()
        head = keras.Sequential([keras.Input(features.shape[1:]), mix, probability()])
        learned(head, features[~test], LABELS[~test], rate=0.05)
        right.append(accuracy(np.array(head(features[test])), LABELS[test]))
        assert mix.get_weights()[0].any()
    assert np.mean(right) > 0.8


@pytest.mark.slow
def test_fine_tuning_in_two_phases() -> None:
    """First the head alone, then ELMo too, with a lower rate."""
    layer = elmo(fine_tune="all")
    model = keras.Sequential([symbolic("sentences"), layer, probability()])
    before, losses = layer.get_weights(), []
    for rate, is_trained in ((0.1, False), (0.01, True)):
        layer.trainable = is_trained
        model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
        losses += model.fit(STRINGS, LABELS, epochs=5, verbose=0).history["loss"]
        for old, new in zip(before, layer.get_weights(), strict=True):
            assert np.any(new != old) == is_trained
    assert losses[-1] < losses[4] < losses[0]
