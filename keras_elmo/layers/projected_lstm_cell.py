"""One step of the LSTM that ELMo uses."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_elmo.layers.lstm_equations import Kernels, LSTMEquations
from keras_elmo.types import Shape, Tensor, check_positive_integer


@keras.saving.register_keras_serializable(package="keras_elmo")
class ProjectedLSTMCell(keras.Layer):
    """An LSTM cell with a projected output and clipping (Sak et al. 2014).

    Use it in ``keras.layers.RNN``. The gates are ordered i, j (the candidate), f, o, as
    in bilm-tf's files. 1 is added to the bias of the forget gate.

    Under a half-precision policy, only the matrix products use half precision, and
    everything else float32: a cell state is a sum over steps, and half precision would lose
    its small terms.

    Args:
        units: The number of cells.
        projection_dim: The size of the output, which is also the recurrent state. ``None``
            or ``units`` for no projection.
        cell_clip: Cell states are clipped to ``[-cell_clip, cell_clip]``; ``None`` for
            no clipping.
        projection_clip: The same for projected outputs; it has no effect without a
            projection.
        kernel_initializer: A Keras initializer for the kernels and the projection.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        inputs: One step, (batch, features).
        states: Hidden state h (batch, projection_dim) and cell state c (batch, units).

    Returns:
        The output h, and the new states ``[h, c]``, in float32 (or wider).
    """

    def __init__(
        self,
        units: int,
        projection_dim: int | None = None,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_positive_integer("units", units)
        self.projection_dim = check_positive_integer(
            "projection_dim", units if projection_dim is None else projection_dim
        )
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        # keras.layers.RNN requires this attribute.
        self.state_size = [self.projection_dim, self.units]
        self.output_size = self.projection_dim

    def build(self, input_shape: Shape) -> None:
        def matrix(name: str, *shape: int) -> keras.Variable:
            initializer = self.kernel_initializer.clone()
            return self.add_weight(shape, initializer, name=name, autocast=False)

        size, n_gates = self.projection_dim, 4 * self.units
        self.kernel = matrix("kernel", input_shape[-1], n_gates)
        self.recurrent_kernel = matrix("recurrent_kernel", size, n_gates)
        self.bias = self.add_weight((n_gates,), "zeros", name="bias", autocast=False)
        self.projection_kernel = None
        if size != self.units:
            self.projection_kernel = matrix("projection_kernel", self.units, size)

    @property
    def compute_dtype(self) -> str:
        """The dtype of the states, and of everything but the matrix products."""
        return self.equations.compute_dtype

    @property
    def equations(self) -> LSTMEquations:
        """The computation of the cell from :meth:`kernels`."""
        product_dtype = str(super().compute_dtype)
        return LSTMEquations(
            self.cell_clip,
            None if self.projection_dim == self.units else self.projection_clip,
            product_dtype,
            str(keras.backend.result_type(product_dtype, "float32")),
        )

    def kernels(self) -> Kernels:
        """The weights as tensors, cast once for all steps."""
        equations = self.equations
        matrices = (self.kernel, self.recurrent_kernel, self.projection_kernel)
        inputs, state, projection = (
            m if m is None else ops.cast(m, equations.product_dtype) for m in matrices
        )
        forget_bias = np.repeat([0.0, 0.0, 1.0, 0.0], self.units)  # (4 * units,)
        bias = ops.cast(self.bias, equations.compute_dtype)
        bias = bias + ops.convert_to_tensor(forget_bias, equations.compute_dtype)
        return Kernels(inputs, state, bias, projection)

    def call(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        equations, kernels = self.equations, self.kernels()
        h, c = states  # (batch, projection_dim), (batch, units)
        sums = equations.sums_of_inputs(inputs, kernels)  # (batch, 4 * units)
        sums = sums + equations.product(h, kernels.state)
        projected, c = equations.step(equations.gates(sums), c, kernels)
        h = equations.clipped(projected)  # (batch, projection_dim)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "projection_dim": self.projection_dim,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
