from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_elmo.layers import MaskedMean
from tests.any_backend import to_tensor
from tests.layer_checks import check_layer

pytestmark = pytest.mark.any_backend

VECTORS = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


def test_mean(tmp_path: Path) -> None:
    mean = check_layer(MaskedMean(), to_tensor(VECTORS), tmp_path)
    np.testing.assert_allclose(mean, VECTORS.mean(axis=1))


def test_mask_and_rows_without_tokens() -> None:
    mask = np.array([[True, False, True, False], [False] * 4])
    mean = MaskedMean()(VECTORS, mask=mask)
    np.testing.assert_allclose(mean, [[3, 4, 5], [0, 0, 0]])
    assert getattr(mean, "_keras_mask", None) is None


def test_further_axes() -> None:
    mask = np.array([[True, False, True, True], [False, True, True, False]])
    layers = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)
    mean = MaskedMean()(layers, mask=mask)
    expected = np.stack([layers[row][mask[row]].mean(axis=0) for row in range(2)])
    np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_no_steps() -> None:
    np.testing.assert_array_equal(MaskedMean()(np.zeros((2, 0, 3))), np.zeros((2, 3)))


def test_half_precision_counts_and_sums_in_single() -> None:
    ones = MaskedMean(dtype="float16")(np.full((1, 4000, 2), 30, np.float16))
    np.testing.assert_array_equal(ones, np.full((1, 2), 30, np.float16))
