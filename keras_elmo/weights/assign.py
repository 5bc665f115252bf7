"""Arrays by name into the variables of the layers, and back."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.layers.elmo_bilm import ElmoBiLM
from keras_elmo.types import Arrays
from keras_elmo.weights.names import CHAR_EMBEDDING, array_shapes, lstm_prefix


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
        directions = (bilm.lstms.forward_lstms, bilm.lstms.backward_lstms)
        for direction, lstms in enumerate(directions):
            for layer, lstm in enumerate(lstms):
                prefix = lstm_prefix(direction, layer)
                variables[f"{prefix}/W_0"] = lstm.cell.kernel
                variables[f"{prefix}/B"] = lstm.cell.bias
                if lstm.cell.projection_kernel is not None:
                    variables[f"{prefix}/W_P_0"] = lstm.cell.projection_kernel
    return variables


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
