"""What the table of every layer does not show of the mean: masks, and half precision."""

from __future__ import annotations

import numpy as np
import pytest

from keras_elmo.layers import MaskedMean

pytestmark = pytest.mark.any_backend

LAYERS = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)


def test_rows_and_further_axes() -> None:
    mask = np.array([[True, False, True, True], [False] * 4])
    mean = MaskedMean()(LAYERS, mask=mask)
    np.testing.assert_allclose(mean[0], LAYERS[0][mask[0]].mean(axis=0), atol=1e-6)
    assert not np.any(mean[1])
    assert getattr(mean, "_keras_mask", None) is None


def test_no_steps() -> None:
    np.testing.assert_array_equal(MaskedMean()(np.zeros((2, 0, 3))), np.zeros((2, 3)))


def test_half_precision_counts_and_sums_in_single() -> None:
    ones = MaskedMean(dtype="float16")(np.full((1, 4000, 2), 30, np.float16))
    np.testing.assert_array_equal(ones, np.full((1, 2), 30, np.float16))
