"""Converts the arrays of a model's files to the weights of the layers, and back.

Files have the same numbers in the same order as the layers, but in other shapes: a
convolution has a leading axis of 1, and an LSTM has one matrix ``W_0``, the rows for the
input before those for the state, instead of the cell's two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS
from keras_elmo.layers.elmo_bilm import ElmoBiLM
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.types import Arrays, Shape, Tensor


def assign_arrays(bilm: ElmoBiLM, arrays: Arrays) -> None:
    """Sets a biLM's weights to the arrays of a model with at least as many layers."""
    for name, _, variables in _variables(bilm):
        _assign(variables, arrays[name])


def _assign(variables: list[keras.Variable], array: NDArray[Any]) -> None:
    ends = np.cumsum([math.prod(variable.shape) for variable in variables])
    for variable, part in zip(variables, np.split(np.ravel(array), ends[:-1]), strict=True):
        variable.assign(np.reshape(part, variable.shape))


def collect_arrays(bilm: ElmoBiLM) -> dict[str, NDArray[np.float32]]:
    """A biLM's weights by name, for :func:`assign_arrays`."""
    arrays = {}
    for name, shape, variables in _variables(bilm):
        parts = [np.ravel(keras.ops.convert_to_numpy(v)) for v in variables]
        arrays[name] = np.reshape(np.concatenate(parts), shape)
    return arrays


def _variables(
    bilm: ElmoBiLM,
) -> Iterator[tuple[str, tuple[int, ...], list[keras.Variable]]]:
    """The name and shape of each array, and the variables with its numbers."""
    weights = iter(bilm.token_encoder.weights + (bilm.lstms.weights if bilm.lstms else []))
    for name, shape in bilm.config.array_shapes(bilm.depth).items():
        variables, missing = [], math.prod(shape)
        while missing > 0:
            variables.append(next(weights))
            missing -= math.prod(variables[-1].shape)
        assert missing == 0, name
        yield name, shape, variables


class _HandedOver(keras.initializers.Initializer):
    """Existing initial values; each is used once, in order, and released."""

    def __init__(self, values: list[NDArray[np.float32]]) -> None:
        self.values = values

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return keras.ops.convert_to_tensor(self.values.pop(0).reshape(shape), dtype)

    def clone(self) -> _HandedOver:
        return self


def create_from_arrays(bilm: ElmoBiLM, arrays: dict[str, NDArray[np.float32]]) -> None:
    """Creates weights from a model's arrays, or at random if there are none.

    Removes the LSTMs' matrices from ``arrays``, so that large ones are not held twice.
    """
    cells = [] if bilm.lstms is None or not arrays else bilm.lstms.cells
    initializers = [cell.kernel_initializer for cell in cells]
    names = (n for n in bilm.config.array_shapes(bilm.depth) if n.endswith("/W_0"))
    for cell, name in zip(cells, names, strict=False):
        matrices = np.split(arrays.pop(name), 2)  # the rows for the input, for the state
        if bilm.config.has_lstm_projection:
            matrices.append(arrays.pop(name.replace("/W_0", "/W_P_0")))
        cell.kernel_initializer = _HandedOver(matrices)  # in the order of their creation
    bilm.create_weights()
    for cell, initializer in zip(cells, initializers, strict=True):
        cell.kernel_initializer = initializer
    for name, _, variables in _variables(bilm):
        if name in arrays:
            _assign(variables, arrays[name])


def assign_mix(mix: ScalarMix, arrays: Arrays) -> None:
    """Sets a scalar mix to the mix of a source, if it has one."""
    for name, variable in ((MIX_WEIGHTS, mix.layer_weights), (MIX_GAMMA, mix.gamma)):
        if name in arrays:
            variable.assign(arrays[name])
