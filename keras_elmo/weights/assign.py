"""Arrays by name into the variables of the layers, and back."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.layers.bidirectional_lm import BidirectionalLM
from keras_elmo.layers.elmo_bilm import ElmoBiLM
from keras_elmo.layers.projected_lstm_cell import ProjectedLSTMCell
from keras_elmo.layers.scalar_mix import ScalarMix
from keras_elmo.types import Arrays, Shape, Tensor
from keras_elmo.weights.names import (
    CHAR_EMBEDDING,
    MIX_GAMMA,
    MIX_WEIGHTS,
    array_shapes,
    lstm_prefix,
)


def variables_by_name(bilm: ElmoBiLM) -> dict[str, keras.Variable]:
    """The variables of a built layer under the names that the files use."""
    encoder = bilm.token_encoder
    variables = {CHAR_EMBEDDING: encoder.char_embedding}
    for i, (kernel, bias) in enumerate(encoder.convolutions):
        variables[f"CNN/W_cnn_{i}"] = kernel
        variables[f"CNN/b_cnn_{i}"] = bias
    for i, highway in enumerate(encoder.highways):
        for gate in ("carry", "transform"):
            variables[f"CNN_high_{i}/W_{gate}"] = getattr(highway, f"{gate}_kernel")
            variables[f"CNN_high_{i}/b_{gate}"] = getattr(highway, f"{gate}_bias")
    if encoder.projection is not None:
        variables["CNN_proj/W_proj"] = encoder.projection.kernel
        variables["CNN_proj/b_proj"] = encoder.projection.bias
    if bilm.lstms is not None:
        for prefix, cell in _cells(bilm.lstms):
            variables[f"{prefix}/W_0"] = cell.kernel
            variables[f"{prefix}/B"] = cell.bias
            if cell.projection_kernel is not None:
                variables[f"{prefix}/W_P_0"] = cell.projection_kernel
    return variables


class _HandedOver(keras.initializers.Initializer):
    """Initial values that are there already: each is given once, by shape, and let go."""

    def __init__(self, arrays: dict[tuple[int, ...], NDArray[np.float32]]) -> None:
        self.arrays = arrays

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return keras.ops.convert_to_tensor(self.arrays.pop(tuple(shape)), dtype)

    def clone(self) -> _HandedOver:
        """Itself: what has been given once is gone."""
        return self


def create_from_arrays(bilm: ElmoBiLM, arrays: dict[str, NDArray[np.float32]]) -> None:
    """Creates weights that are known, without holding the large ones twice.

    Args:
        bilm: The layer, without weights yet.
        arrays: The arrays of a model, from which the LSTMs' are taken out; or none, for
            random weights.
    """
    if not arrays:
        bilm.create_weights()
        return
    cells = [] if bilm.lstms is None else _cells(bilm.lstms)
    initializers = [cell.kernel_initializer for _, cell in cells]
    for prefix, cell in cells:
        # A kernel (2 p, 4 d) and a projection (d, p) never have the same shape.
        names = [f"{prefix}/{part}" for part in ("W_0", "W_P_0")]
        taken = [arrays.pop(name) for name in names if name in arrays]
        cell.kernel_initializer = _HandedOver({array.shape: array for array in taken})
    taken = []
    bilm.create_weights()
    for (_, cell), initializer in zip(cells, initializers, strict=True):
        cell.kernel_initializer = initializer
    variables = variables_by_name(bilm)
    assign_arrays({n: v for n, v in variables.items() if n in arrays}, arrays)


def _cells(lstms: BidirectionalLM) -> list[tuple[str, ProjectedLSTMCell]]:
    """The cells with the common start of their arrays' names."""
    return [
        (lstm_prefix(direction, layer), lstm.cell)
        for direction, layers in enumerate((lstms.forward_lstms, lstms.backward_lstms))
        for layer, lstm in enumerate(layers)
    ]


def assign_arrays(variables: Mapping[str, keras.Variable], arrays: Arrays) -> None:
    """Sets each variable to the array of its name.

    Args:
        variables: From :func:`variables_by_name`; there may be fewer than arrays, where
            an output needs only the lower layers.
        arrays: The arrays of a model, already checked against its configuration.
    """
    for name, variable in variables.items():
        # The files keep convolution kernels with a leading axis of 1.
        variable.assign(np.reshape(arrays[name], variable.shape))


def assign_mix(mix: ScalarMix, arrays: Arrays) -> None:
    """Sets a scalar mix to the source's, if it has one.

    Args:
        mix: The mix, with weights.
        arrays: The arrays of a model.
    """
    for name, variable in ((MIX_WEIGHTS, mix.layer_weights), (MIX_GAMMA, mix.gamma)):
        if name in arrays:
            variable.assign(arrays[name])


def collect_arrays(
    variables: Mapping[str, keras.Variable], config: ElmoConfig
) -> dict[str, NDArray[np.float32]]:
    """The variables' values in the shapes that the files use.

    Args:
        variables: From :func:`variables_by_name`, for a model of full depth.
        config: The model's configuration.

    Returns:
        The arrays by name.
    """
    return {
        name: np.reshape(keras.ops.convert_to_numpy(variables[name]), shape)
        for name, shape in array_shapes(config).items()
    }
