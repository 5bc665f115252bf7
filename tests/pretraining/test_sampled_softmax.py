from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo.pretraining.sampled_softmax import SampledSoftmax

SIZE = 40
FEATURES = 5
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(2, 3, FEATURES)).astype(np.float32)
TARGETS = np.array([[0, 39, 7], [7, 20, 1]])
KERNEL = RNG.normal(size=(SIZE, FEATURES)).astype(np.float32)
BIAS = RNG.normal(size=SIZE).astype(np.float32)
LOGITS = INPUTS.astype(np.float64) @ KERNEL.T + BIAS  # (2, 3, SIZE)
TRUE = np.take_along_axis(LOGITS, TARGETS[..., None], axis=-1)[..., 0]  # (2, 3)

Draw = tuple[np.ndarray, np.ndarray]


def softmax(
    n_samples: int | None = None, seed: int = 1, **arguments: Any
) -> SampledSoftmax:
    layer = SampledSoftmax(SIZE, n_samples, seed, **arguments)
    layer.build((None, None, FEATURES))
    layer.kernel.assign(KERNEL)
    layer.bias.assign(BIAS)
    return layer


def draws(layer: SampledSoftmax, number: int) -> list[Draw]:
    draw = tf.function(layer.draw)
    return [tuple(part.numpy() for part in draw()) for _ in range(number)]


def log_sum(logits: np.ndarray) -> np.ndarray:
    return np.log(np.exp(logits).sum(axis=-1))


@pytest.mark.parametrize("n_samples", [None, 4])
def test_full_softmax(n_samples: int | None) -> None:
    """Everywhere but in training, whatever the size of the sample."""
    losses = softmax(n_samples)(INPUTS, TARGETS)
    np.testing.assert_allclose(losses, log_sum(LOGITS) - TRUE, rtol=1e-5, atol=1e-5)
    if n_samples is None:
        np.testing.assert_array_equal(softmax()(INPUTS, TARGETS, training=True), losses)


def sampled_terms(
    draw: Draw, logits: np.ndarray = LOGITS, targets: np.ndarray = TARGETS
) -> np.ndarray:
    """The terms of the normalising sum (..., samples + 1), the target's own last."""
    sample, log_inclusion = draw
    terms = np.exp(logits[..., sample] - log_inclusion)
    terms[targets[..., None] == sample] = 0
    true = np.take_along_axis(logits, targets[..., None], axis=-1)
    return np.concatenate([terms, np.exp(true)], axis=-1)


@pytest.mark.parametrize("n_samples", [1, 10, SIZE - 1])
def test_sampled_softmax(n_samples: int) -> None:
    """As the same draw has it in NumPy."""
    losses = softmax(n_samples)(INPUTS, TARGETS, training=True)
    (draw,) = draws(softmax(n_samples), 1)
    expected = np.log(sampled_terms(draw).sum(axis=-1)) - TRUE
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)


def test_gradient() -> None:
    """Of the words that were not drawn nothing is learnt; of the others, what is right."""
    layer = softmax(10)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INPUTS, TARGETS, training=True))
    gradient, of_bias = (
        tf.convert_to_tensor(part).numpy()
        for part in tape.gradient(loss, [layer.kernel.value, layer.bias.value])
    )
    ((sample, log_inclusion),) = draws(softmax(10), 1)
    terms = sampled_terms((sample, log_inclusion))
    shares = terms / terms.sum(axis=-1, keepdims=True)  # (2, 3, samples + 1)
    by_word = np.zeros((2, 3, SIZE))
    by_word[..., sample] = shares[..., :-1]
    for index in np.ndindex(TARGETS.shape):
        by_word[index][TARGETS[index]] += shares[index][-1] - 1
    expected = np.einsum("btv,btf->vf", by_word, INPUTS)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_bias, by_word.sum(axis=(0, 1)), rtol=1e-4, atol=1e-5)
    assert set(np.flatnonzero(gradient.any(axis=1))) == {*sample, *TARGETS.flat}


@pytest.mark.parametrize("n_samples", [1, 8, SIZE - 1])
def test_sample_is_without_replacement(n_samples: int) -> None:
    for sample, log_inclusion in draws(softmax(n_samples), 50):
        assert sample.dtype == np.int32
        assert len(set(sample) & set(range(SIZE))) == n_samples
        assert (log_inclusion <= 0).all()


def test_share_of_samples_by_hand() -> None:
    """Two of five words: first one, then one of the others by what is left."""
    p = np.log1p(1 / np.arange(1, 6)) / np.log(6)
    first = p / (1 - p)
    expected = p + p * (first.sum() - first)
    layer = SampledSoftmax(5, 2, seed=0)
    drawn = np.zeros((4000, 5))
    for row, (sample, _) in zip(drawn, draws(layer, len(drawn)), strict=True):
        row[sample] = 1
    error = np.sqrt(expected * (1 - expected) / len(drawn))
    assert error.max() < 0.01
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - expected), 4 * error)


def test_normalising_sum_is_unbiased() -> None:
    """Whatever the target and however far the model is from the sampling distribution."""
    drawn, targets = draws(softmax(15, seed=3), 4000), np.arange(SIZE)
    for logits in np.linspace([2.5, -2.5], [-2.5, 2.5], SIZE, axis=1):  # frequent, rare
        rows = np.tile(logits, (SIZE, 1))  # (targets, SIZE)
        totals = np.stack([sampled_terms(d, rows, targets).sum(axis=-1) for d in drawn])
        exact = np.exp(logits).sum()
        error = totals.std(axis=0) / np.sqrt(len(totals))
        assert error.max() < 0.01 * exact
        np.testing.assert_array_less(np.abs(totals.mean(axis=0) - exact), 4 * error)


def test_seed() -> None:
    first, second = (draws(softmax(10, seed=5), 3) for _ in range(2))
    np.testing.assert_equal(first, second)
    assert {*first[0][0]} != {*first[1][0]}
    assert {*first[0][0]} != {*draws(softmax(10, seed=6), 1)[0][0]}


def test_config_and_saving(tmp_path: Path) -> None:
    layer = softmax(10, seed=5, name="words")
    copy = SampledSoftmax.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert (copy.vocabulary_size, copy.n_samples, copy.name) == (SIZE, 10, "words")
    copy.build((None, None, 64))
    assert keras.ops.convert_to_numpy(copy.kernel).std() == pytest.approx(1 / 8, rel=0.05)
    assert not keras.ops.any(copy.bias)
    np.testing.assert_array_equal(copy.draw()[0], softmax(10, seed=5).draw()[0])

    inputs = keras.Input((None, FEATURES)), keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, layer(*inputs))
    assert model.output.shape == (None, None)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded([INPUTS, TARGETS]), log_sum(LOGITS) - TRUE, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy: str) -> None:
    layer = softmax(10, dtype=policy)
    assert {v.dtype for v in layer.trainable_variables} == {"float32"}
    symbolic = layer(keras.Input((None, FEATURES)), keras.Input((None,), dtype="int32"))
    assert keras.backend.standardize_dtype(symbolic.dtype) == "float32"
    rtol = 0.02 if policy == "mixed_float16" else 0.1
    for training in (False, True):
        losses = layer(INPUTS, TARGETS, training=training)
        assert keras.backend.standardize_dtype(losses.dtype) == "float32"
        exact = softmax(10)(INPUTS, TARGETS, training=training)
        np.testing.assert_allclose(losses, exact, rtol=rtol, atol=rtol)


def test_mixed_precision_keeps_small_differences_of_frequencies() -> None:
    bias = np.linspace(-14, -14.01, SIZE)
    layer = softmax(10, dtype="mixed_float16")
    layer.kernel.assign(np.zeros((SIZE, FEATURES)))
    layer.bias.assign(bias)
    expected = log_sum(bias) - bias[TARGETS]
    np.testing.assert_allclose(layer(INPUTS, TARGETS), expected, rtol=1e-5)


def test_large_logits() -> None:
    layer = softmax(10)
    layer.kernel.assign(1000 * KERNEL)
    for training in (False, True):
        losses = keras.ops.convert_to_numpy(layer(INPUTS, TARGETS, training=training))
        assert np.isfinite(losses).all()
        assert (losses >= 0).all()


@pytest.mark.parametrize(
    ("n_samples", "message"),
    [
        (0, "n_samples must be a positive integer; got 0"),
        (2.5, "n_samples must be a positive integer; got 2.5"),
        (True, "n_samples must be a positive integer; got True"),
        (SIZE, "less than vocabulary_size = 40, or None for the full softmax; got 40"),
    ],
)
def test_refuses_n_samples(n_samples: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampledSoftmax(SIZE, n_samples)
