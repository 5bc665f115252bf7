"""What every layer of the library has to pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.any_backend import reloaded, to_numpy, to_tensor


def check_layer(
    layer: keras.Layer, inputs: Any, folder: Path, expected: Any = None
) -> np.ndarray:
    """Checks values, config, symbolic call, static shape, saving and mixed precision.

    Of a layer with one input and one output; ``expected`` are its values, padding included.
    """
    inputs = inputs if keras.ops.is_tensor(inputs) else to_tensor(inputs)
    values = to_numpy(layer(inputs))
    expected = values if expected is None else np.asarray(expected)
    assert values.shape == expected.shape
    np.testing.assert_allclose(values * 1.0, expected * 1.0, rtol=0, atol=1e-5)

    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()

    dtype = keras.backend.standardize_dtype(inputs.dtype)
    shape = (None, *[None] * (len(inputs.shape) - 2), inputs.shape[-1])
    symbolic = keras.Input(batch_shape=shape[-len(inputs.shape) :], dtype=dtype)
    model = keras.Model(symbolic, layer(symbolic))
    assert keras.backend.standardize_dtype(model.output.dtype) == str(values.dtype)
    assert len(model.output.shape) == values.ndim
    for static, actual in zip(model.output.shape, values.shape, strict=True):
        assert static in (None, actual)
    np.testing.assert_allclose(to_numpy(model(inputs)), values, rtol=1e-6, atol=1e-6)

    found = reloaded(model, folder)(inputs)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(model(inputs)))

    if values.dtype == np.float32:
        half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_float16"})
        half.build(inputs.shape)
        half.set_weights(layer.get_weights())
        found = half(inputs)
        assert keras.backend.standardize_dtype(found.dtype) == "float16"
        assert {v.dtype for v in half.variables} <= {"float32"}
        largest = np.abs(expected).max()
        np.testing.assert_allclose(to_numpy(found), expected, rtol=0, atol=0.01 * largest)
    return values
