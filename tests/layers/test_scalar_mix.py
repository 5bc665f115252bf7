"""The mix of layers, and the mean over time."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import ScalarMix
from keras_elmo.layers import MaskedMean
from tests.any_backend import to_numpy
from tests.layer_checks import check_layer
from tests.numpy_elmo import scalar_mix

pytestmark = pytest.mark.any_backend

LAYERS = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)
MASK = np.array([[True, True, False, True], [True, False, False, False]])
SKEWED = {"initial_weights": [0.2, 0.5, -0.4], "initial_gamma": 0.9}


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 2, 2, 3, 5)])
def test_any_number_of_leading_axes(shape: tuple[int, ...]) -> None:
    layers = np.random.default_rng(1).normal(size=shape)
    expected = scalar_mix(layers, *SKEWED.values())
    found = to_numpy(ScalarMix(**SKEWED)(layers))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


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


def test_layer_norm_leaves_padding_out(tmp_path: Path) -> None:
    layer = ScalarMix(layer_norm=True, **SKEWED)
    expected = scalar_mix(normalized(LAYERS, np.ones((2, 4), bool)), *SKEWED.values())
    check_layer(layer, LAYERS, tmp_path, expected)
    expected = scalar_mix(normalized(LAYERS * 3 + 1, MASK), *SKEWED.values())
    found = to_numpy(layer(LAYERS * 3 + 1, mask=MASK))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_layer_norm_of_many_values_and_of_none(dtype: str) -> None:
    layers = np.random.default_rng(0).normal(size=(4, 50, 3, 64))
    layer = ScalarMix(layer_norm=True, dtype=dtype)
    expected = scalar_mix(normalized(layers, np.ones((4, 50), bool)), [0, 0, 0], 1)
    np.testing.assert_allclose(to_numpy(layer(layers)), expected, atol=5e-3)
    assert not to_numpy(layer(layers, mask=np.zeros((4, 50), bool))).any()


def test_regularizer() -> None:
    layer = ScalarMix(initial_weights=[1, 2, 3], regularizer=keras.regularizers.L2(0.5))
    copy = ScalarMix.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    for mix in (layer, copy):
        mix(LAYERS)
        losses = [to_numpy(loss) for loss in mix.losses]
        np.testing.assert_allclose(losses, [0.5 * 14], rtol=1e-6)


def test_refuses_the_wrong_number_of_weights() -> None:
    with pytest.raises(ValueError, match="expected one number per layer, 3; got 2"):
        ScalarMix(initial_weights=[0.0, 0.0])(LAYERS)


def test_mean_of_what_is_not_masked() -> None:
    mask = np.array([[True, False, True, True], [False] * 4])
    mean = MaskedMean()(LAYERS, mask=mask)
    assert getattr(mean, "_keras_mask", None) is None
    values = to_numpy(mean)
    np.testing.assert_allclose(values[0], LAYERS[0][mask[0]].mean(axis=0), atol=1e-6)
    assert not values[1].any()
    nothing = to_numpy(MaskedMean()(np.zeros((2, 0, 3))))
    np.testing.assert_array_equal(nothing, np.zeros((2, 3)))


def test_mean_counts_and_sums_half_precision_in_single() -> None:
    ones = MaskedMean(dtype="float16")(np.full((1, 4000, 2), 30, np.float16))
    np.testing.assert_array_equal(ones, np.full((1, 2), 30, np.float16))
