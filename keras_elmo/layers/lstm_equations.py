"""One step of the LSTM that ELMo uses, and its gradient, as functions of the kernels."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

from keras import ops

from keras_elmo.layers.matmul import for_many_products, matmul
from keras_elmo.types import Tensor


class Kernels(NamedTuple):
    """A cell's matrices in the dtype of its matrix products, and its bias."""

    inputs: Tensor  # (features, 4 * units)
    state: Tensor  # (projection_dim, 4 * units)
    bias: Tensor  # (4 * units,), 1 added for the forget gate
    projection: Any = None  # (units, projection_dim)

    def transposed(self) -> Kernels:
        """The matrices transposed, once for many steps."""
        inputs, state, projection = (
            matrix if matrix is None else ops.transpose(matrix)
            for matrix in (self.inputs, self.state, self.projection)
        )
        return Kernels(inputs, state, self.bias, projection)


class Gates(NamedTuple):
    """The gates and the candidate, (batch, units) each, in the order of the kernels."""

    i: Tensor
    j: Tensor  # the candidate
    f: Tensor
    o: Tensor


class StepGradient(NamedTuple):
    """The gradients of a step, from which the gradients of its kernels are computed.

    Each kernel's gradient is one product over all steps: of the inputs and ``sums``, of the
    previous h and ``sums``, of ``output`` and ``projected``. The bias's gradient is the sum
    of ``sums``. The gradient of the inputs or of the previous h is the product of ``sums``
    and the transposed kernel.
    """

    sums: Tensor  # the gradient of the gates' inputs, (batch, 4 * units)
    c: Tensor  # the gradient of the previous cell state, (batch, units)
    projected: Tensor  # the gradient of the projected output, (batch, projection_dim)
    output: Tensor  # the cells' output (not a gradient), (batch, units)


@dataclasses.dataclass(frozen=True)
class LSTMEquations:
    """The LSTM of Sak et al. (2014), without its kernels.

    Matrix products are computed in ``product_dtype``, everything else in
    ``compute_dtype``. Gates are ordered i, j (the candidate), f, o. An LSTM without a
    projection has no ``projection_clip``.
    """

    cell_clip: float | None
    projection_clip: float | None
    product_dtype: str
    compute_dtype: str
    axis: ClassVar[int] = -1  # of the units; sentences are on the other one

    def oriented(self, kernels: Kernels) -> Kernels:
        """The kernels as :meth:`product` and :meth:`step` take them for many steps."""
        inputs, state, bias, projection = kernels
        if projection is not None:
            projection = for_many_products(projection)
        return Kernels(inputs, for_many_products(state), bias, projection)

    def product(self, x: Tensor, kernel: Tensor) -> Tensor:
        product = matmul(ops.cast(x, self.product_dtype), kernel)
        return ops.cast(product, self.compute_dtype)

    def sums_of_inputs(self, inputs: Tensor, kernels: Kernels) -> Tensor:
        """The inputs' part of the gates for any number of steps, (rows, 4 * units)."""
        return self.product(inputs, kernels.inputs) + kernels.bias

    def gates(self, sums: Tensor) -> Gates:
        """The gates from the inputs' part plus the state's part, (batch, 4 * units)."""
        i, j, f, o = ops.split(sums, 4, axis=self.axis)  # (batch, units) each
        return Gates(ops.sigmoid(i), ops.tanh(j), ops.sigmoid(f), ops.sigmoid(o))

    def step(self, gates: Gates, c: Tensor, kernels: Kernels) -> tuple[Tensor, Tensor]:
        """From the cell state (batch, units) to the projected output and the new state.

        The new h is the output (batch, projection_dim) :meth:`clipped`.
        """
        i, j, f, o = gates
        c = _clip(f * c + i * j, self.cell_clip)  # (batch, units)
        output = o * ops.tanh(c)  # (batch, units)
        if kernels.projection is None:
            return output, c
        return self.product(output, kernels.projection), c

    def clipped(self, projected: Tensor) -> Tensor:
        return _clip(projected, self.projection_clip)

    def step_gradient(
        self,
        gates: Gates,
        c: Tensor,
        projected: Tensor,
        dh: Tensor,
        dc: Tensor,
        kernels: Kernels,
    ) -> StepGradient:
        """Computes the gradients of a step's inputs from those of its outputs.

        Args:
            gates: The gates that :meth:`step` read.
            c: The cell state that it read, (batch, units).
            projected: The projected output, (batch, projection_dim).
            dh: The gradient of the new h, (batch, projection_dim).
            dc: The gradient of the new c through all later steps, (batch, units).
            kernels: The matrices, transposed.
        """
        i, j, f, o = gates
        c_new = f * c + i * j  # (batch, units)
        tanh_c = ops.tanh(_clip(c_new, self.cell_clip))  # (batch, units)
        d_projected = d_output = _unclipped(dh, projected, self.projection_clip)
        if kernels.projection is not None:
            d_output = self.product(d_projected, kernels.projection)  # (batch, units)
        dc = dc + d_output * o * (1 - tanh_c * tanh_c)  # (batch, units)
        dc = _unclipped(dc, c_new, self.cell_clip)
        d_sums = ops.concatenate(
            [
                dc * j * i * (1 - i),
                dc * i * (1 - j * j),
                dc * c * f * (1 - f),
                d_output * tanh_c * o * (1 - o),
            ],
            axis=self.axis,
        )  # (batch, 4 * units)
        return StepGradient(d_sums, dc * f, d_projected, o * tanh_c)


class LSTMEquationsOfColumns(LSTMEquations):
    """The same with a sentence in each column.

    XLA multiplies a kernel with up to 32 columns 1.6 times as fast as with rows.
    """

    axis: ClassVar[int] = 0

    def oriented(self, kernels: Kernels) -> Kernels:
        return kernels.transposed()

    def product(self, x: Tensor, kernel: Tensor) -> Tensor:
        product = ops.matmul(kernel, ops.cast(x, self.product_dtype))
        return ops.cast(product, self.compute_dtype)


def _clip(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else ops.clip(x, -limit, limit)


def _unclipped(gradient: Tensor, x: Tensor, limit: float | None) -> Tensor:
    """The gradient of ``x`` from the gradient of clipped ``x``."""
    if limit is None:
        return gradient
    return ops.where(ops.abs(x) > limit, ops.zeros_like(gradient), gradient)
