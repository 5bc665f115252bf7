"""What every layer of the library has to pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np


def check_layer(layer: keras.Layer, inputs: Any, folder: Path) -> np.ndarray:
    """Checks config, symbolic call, static shape, saving and mixed precision.

    Args:
        layer: A layer with one input and one output.
        inputs: A tensor for it.
        folder: Where a model may be saved.

    Returns:
        The layer's output for ``inputs``, so that the caller can check the values.
    """
    output = layer(inputs)
    values = keras.ops.convert_to_numpy(output)

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
    np.testing.assert_allclose(_numpy(model(inputs)), values, rtol=1e-6, atol=1e-6)

    path = folder / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(_numpy(loaded(inputs)), _numpy(model(inputs)))

    if values.dtype == np.float32:
        half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_float16"})
        assert keras.backend.standardize_dtype(half(inputs).dtype) == "float16"
        assert {v.dtype for v in half.variables} <= {"float32"}
    return values


def _numpy(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)
