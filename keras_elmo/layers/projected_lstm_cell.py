"""One step of the LSTM that ELMo uses."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_elmo.types import Shape, Tensor, check_positive_integer


class Kernels(NamedTuple):
    """A cell's matrices in the dtype that products are computed in.

    Attributes:
        inputs: What inputs are multiplied with, (features, 4 * units).
        state: What the hidden state is multiplied with, (projection_dim, 4 * units).
        projection: (units, projection_dim), or ``None``.
    """

    inputs: Tensor
    state: Tensor
    projection: Tensor | None


@keras.saving.register_keras_serializable(package="keras_elmo")
class ProjectedLSTMCell(keras.Layer):
    """An LSTM cell with a projected output and clipping (Sak et al. 2014).

    The gates are ordered i, j (the candidate), f, o, and the rows of the kernel input
    first, hidden state second, as in bilm-tf's files. 1 is added to the forget gate's
    bias. To be used in ``keras.layers.RNN``.

    Under a policy of half precision the matrix products are computed in it, and all else
    in float32: a cell state sums up what its gates let in at each step, and in half
    precision small parts of a sum are lost.

    Args:
        units: Number of cells.
        projection_dim: Size of the output, which is also the recurrent state. ``None``
            or ``units`` for no projection.
        cell_clip: Cell states are clipped to ``[-cell_clip, cell_clip]``; ``None`` for
            no clipping.
        projection_clip: The same for projected outputs. Without projection it has
            nothing to clip.
        kernel_initializer: A Keras initializer for the kernel and the projection.
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
        """Creates the weights for inputs of shape (batch, features)."""
        features = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features + self.projection_dim, 4 * self.units),
            initializer=self.kernel_initializer,
            autocast=False,
        )
        self.bias = self.add_weight(
            name="bias", shape=(4 * self.units,), initializer="zeros", autocast=False
        )
        self.projection_kernel = None
        if self.projection_dim != self.units:
            self.projection_kernel = self.add_weight(
                name="projection_kernel",
                shape=(self.units, self.projection_dim),
                initializer=self.kernel_initializer.clone(),
                autocast=False,
            )

    @property
    def product_dtype(self) -> str:
        """What matrix products are computed in."""
        return str(super().compute_dtype)

    @property
    def compute_dtype(self) -> str:
        """What the states are kept in, and all else is computed in."""
        return str(keras.backend.result_type(self.product_dtype, "float32"))

    def call(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Takes one step."""
        h, c = states  # (batch, projection_dim), (batch, units)
        x = ops.concatenate([inputs, h], axis=-1)  # (batch, features + projection_dim)
        kernel, projection = self._cast_kernels()
        gates = self._product(x, kernel) + self._bias()  # (batch, 4 * units)
        h, c = self._activate(gates, c, projection)
        return h, [h, c]

    def kernels(self) -> Kernels:
        """The matrices for :meth:`gates_of_inputs` and :meth:`step`, cast once."""
        kernel, projection = self._cast_kernels()
        n_features = kernel.shape[0] - self.projection_dim
        return Kernels(kernel[:n_features], kernel[n_features:], projection)

    def _cast_kernels(self) -> tuple[Tensor, Tensor | None]:
        kernel = ops.cast(self.kernel, self.product_dtype)
        if self.projection_kernel is None:
            return kernel, None
        return kernel, ops.cast(self.projection_kernel, self.product_dtype)

    def gates_of_inputs(self, inputs: Tensor, kernels: Kernels) -> Tensor:
        """The inputs' part in the gates, which does not have to wait for the states.

        Args:
            inputs: (rows, features), of any number of steps.
            kernels: From :meth:`kernels`.

        Returns:
            (rows, 4 * units), the bias included.
        """
        return self._product(inputs, kernels.inputs) + self._bias()

    def step(
        self, gates_of_inputs: Tensor, h: Tensor | None, c: Tensor, kernels: Kernels
    ) -> tuple[Tensor, Tensor]:
        """Takes one step from what :meth:`gates_of_inputs` returned.

        Args:
            gates_of_inputs: The step's inputs' part in the gates, (batch, 4 * units).
            h: Hidden state (batch, projection_dim), ``None`` for zeros.
            c: Cell state (batch, units).
            kernels: From :meth:`kernels`.

        Returns:
            The new h and c.
        """
        gates = gates_of_inputs
        if h is not None:
            gates = gates + self._product(h, kernels.state)
        return self._activate(gates, c, kernels.projection)

    def _product(self, x: Tensor, kernel: Tensor) -> Tensor:
        product = ops.matmul(ops.cast(x, self.product_dtype), kernel)
        return ops.cast(product, self.compute_dtype)

    def _bias(self) -> Tensor:
        """The bias (4 * units,), with 1 added to the forget gate's part."""
        ones = np.repeat([0.0, 0.0, 1.0, 0.0], self.units)
        bias = ops.cast(self.bias, self.compute_dtype)
        return bias + ops.convert_to_tensor(ones, self.compute_dtype)

    def _activate(
        self, gates: Tensor, c: Tensor, projection: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        i, j, f, o = ops.split(gates, 4, axis=-1)  # (batch, units) each
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(j)  # (batch, units)
        c = _clip(c, self.cell_clip)
        h = ops.sigmoid(o) * ops.tanh(c)  # (batch, units)
        if projection is not None:
            h = self._product(h, projection)  # (batch, projection_dim)
            h = _clip(h, self.projection_clip)
        return h, c

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal cell."""
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
