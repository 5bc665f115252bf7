"""One step of the LSTM that ELMo uses."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_elmo.types import Shape, Tensor, check_positive_integer


class Kernels(NamedTuple):
    """A cell's matrices in the dtype of its matrix products."""

    inputs: Tensor  # (features, 4 * units)
    state: Tensor  # (projection_dim, 4 * units)
    projection: Tensor | None  # (units, projection_dim)


@keras.saving.register_keras_serializable(package="keras_elmo")
class ProjectedLSTMCell(keras.Layer):
    """An LSTM cell with a projected output and clipping (Sak et al. 2014).

    Use it in ``keras.layers.RNN``. The gates are ordered i, j (the candidate), f, o, as
    in bilm-tf's files. 1 is added to the bias of the forget gate.

    Under a policy of half precision the matrix products are computed in it, and all else
    in float32: a cell state sums up what its gates let in at each step, and in half
    precision small parts of a sum are lost.

    Args:
        units: Number of cells.
        projection_dim: Size of the output, which is also the recurrent state. ``None``
            or ``units`` for no projection.
        cell_clip: Cell states are clipped to ``[-cell_clip, cell_clip]``; ``None`` for
            no clipping.
        projection_clip: The same for projected outputs. Without a projection it has no
            effect.
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
        # What keras.layers.RNN asks of a cell.
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
    def product_dtype(self) -> str:
        """The dtype of the matrix products."""
        return str(super().compute_dtype)

    @property
    def compute_dtype(self) -> str:
        """The dtype of the states, and of all else."""
        return str(keras.backend.result_type(self.product_dtype, "float32"))

    def call(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        kernels = self.kernels()
        h, c = states  # (batch, projection_dim), (batch, units)
        h, c = self.step(self.gates_of_inputs(inputs, kernels), h, c, kernels)
        return h, [h, c]

    def kernels(self) -> Kernels:
        """The matrices for :meth:`gates_of_inputs` and :meth:`step`, cast once."""
        matrices = (self.kernel, self.recurrent_kernel, self.projection_kernel)
        cast = (m if m is None else ops.cast(m, self.product_dtype) for m in matrices)
        return Kernels(*cast)

    def gates_of_inputs(self, inputs: Tensor, kernels: Kernels) -> Tensor:
        """The inputs' part in the gates, which does not have to wait for the states.

        Args:
            inputs: (rows, features), of any number of steps.
            kernels: From :meth:`kernels`.

        Returns:
            (rows, 4 * units), the bias included.
        """
        forget_bias = np.repeat([0.0, 0.0, 1.0, 0.0], self.units)  # (4 * units,)
        bias = ops.cast(self.bias, self.compute_dtype)
        bias = bias + ops.convert_to_tensor(forget_bias, self.compute_dtype)
        return self._product(inputs, kernels.inputs) + bias

    def step(
        self, gates: Tensor, h: Tensor | None, c: Tensor, kernels: Kernels
    ) -> tuple[Tensor, Tensor]:
        """Takes one step from what :meth:`gates_of_inputs` returned.

        Args:
            gates: The inputs' part in the gates, (batch, 4 * units).
            h: Hidden state (batch, projection_dim), ``None`` for zeros.
            c: Cell state (batch, units).
            kernels: From :meth:`kernels`.

        Returns:
            The new h and c.
        """
        if h is not None:
            gates = gates + self._product(h, kernels.state)  # (batch, 4 * units)
        i, j, f, o = ops.split(gates, 4, axis=-1)  # (batch, units) each
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(j)  # (batch, units)
        c = _clip(c, self.cell_clip)
        h = ops.sigmoid(o) * ops.tanh(c)  # (batch, units)
        if kernels.projection is not None:
            h = self._product(h, kernels.projection)  # (batch, projection_dim)
            h = _clip(h, self.projection_clip)
        return h, c

    def _product(self, x: Tensor, kernel: Tensor) -> Tensor:
        product = ops.matmul(ops.cast(x, self.product_dtype), kernel)
        return ops.cast(product, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "projection_dim": self.projection_dim,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _clip(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else ops.clip(x, -limit, limit)
