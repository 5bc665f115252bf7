from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import ScalarMix
from tests.any_backend import to_numpy
from tests.layer_checks import check_layer
from tests.numpy_elmo import scalar_mix

pytestmark = pytest.mark.any_backend

LAYERS = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)
MASK = np.array([[True, True, False, True], [True, False, False, False]])


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 4, 3, 5), (2, 2, 2, 3, 5)])
def test_any_number_of_leading_axes(shape: tuple[int, ...]) -> None:
    layers = np.random.default_rng(1).normal(size=shape)
    mixed = ScalarMix(initial_weights=[1.0, 2.0, 3.0])(layers)
    expected = scalar_mix(layers, [1, 2, 3], 1)
    np.testing.assert_allclose(to_numpy(mixed), expected, rtol=1e-5, atol=1e-6)


def test_masked_positions_are_zeros() -> None:
    mixed = to_numpy(ScalarMix()(LAYERS, mask=MASK))
    np.testing.assert_allclose(mixed[MASK], LAYERS.mean(axis=2)[MASK], atol=1e-6)
    assert not mixed[~MASK].any()


def normalized(layers: np.ndarray, mask: np.ndarray) -> np.ndarray:
    result = np.zeros_like(layers)
    for k in range(layers.shape[2]):
        elements = layers[:, :, k][mask].astype(np.float64)
        result[:, :, k][mask] = (elements - elements.mean()) / elements.std()
    return result


def test_layer_norm_leaves_padding_out() -> None:
    layer = ScalarMix(layer_norm=True, initial_weights=[0.2, 0.5, -0.4], initial_gamma=0.9)
    mixed = to_numpy(layer(LAYERS * 3 + 1, mask=MASK))
    expected = scalar_mix(normalized(LAYERS * 3 + 1, MASK), [0.2, 0.5, -0.4], 0.9)
    np.testing.assert_allclose(mixed, expected, atol=1e-5)


def test_layer_norm_without_a_mask(tmp_path: Path) -> None:
    expected = normalized(LAYERS, np.ones((2, 4), bool)).mean(axis=2)
    check_layer(ScalarMix(layer_norm=True), LAYERS, tmp_path, expected)


def test_layer_norm_of_nothing_but_padding() -> None:
    mixed = ScalarMix(layer_norm=True)(LAYERS, mask=np.zeros((2, 4), bool))
    np.testing.assert_array_equal(to_numpy(mixed), np.zeros((2, 4, 5)))


def test_layer_norm_in_half_precision() -> None:
    layers = np.random.default_rng(0).normal(size=(4, 50, 3, 64))
    half = to_numpy(ScalarMix(layer_norm=True, dtype="mixed_float16")(layers))
    single = to_numpy(ScalarMix(layer_norm=True)(layers))
    np.testing.assert_allclose(half, single, atol=5e-3)
    nothing = np.zeros((4, 50), bool)
    padding = ScalarMix(layer_norm=True, dtype="mixed_float16")(layers, mask=nothing)
    assert not np.any(to_numpy(padding))


def test_regularizer() -> None:
    layer = ScalarMix(
        initial_weights=[1.0, 2.0, 3.0], regularizer=keras.regularizers.L2(0.5)
    )
    layer(LAYERS)
    np.testing.assert_allclose([to_numpy(loss) for loss in layer.losses], [0.5 * 14])
    copy = ScalarMix.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy(LAYERS)
    np.testing.assert_allclose([to_numpy(loss) for loss in copy.losses], [0.5 * 14])


@pytest.mark.tensorflow  # whose tape it takes
def test_gradient_against_finite_differences() -> None:
    import tensorflow as tf

    layer = ScalarMix(initial_weights=[0.3, -0.2, 0.5], initial_gamma=1.2, dtype="float64")
    target = np.random.default_rng(2).normal(size=(2, 4, 5))

    def loss() -> object:
        return tf.reduce_sum(tf.square(layer(LAYERS) - target))

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, [v.value for v in layer.trainable_variables])
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        start = variable.numpy()
        for index in np.ndindex(start.shape):
            step = np.zeros_like(start)
            step[index] = 1e-5
            variable.assign(start + step)
            above = loss()
            variable.assign(start - step)
            below = loss()
            variable.assign(start)
            difference = (above - below) / 2e-5
            np.testing.assert_allclose(gradient.numpy()[index], difference, rtol=1e-6)


def test_refuses_the_wrong_number_of_weights() -> None:
    with pytest.raises(ValueError, match="one number for each of the 3 layers; got 2"):
        ScalarMix(initial_weights=[0.0, 0.0])(LAYERS)
