"""One step of the LSTM that ELMo uses, and its gradient, as functions of the kernels."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from keras import ops

from keras_elmo.types import Tensor


class Kernels(NamedTuple):
    """A cell's matrices in the dtype of its matrix products, and its bias."""

    inputs: Tensor  # (features, 4 * units)
    state: Tensor  # (projection_dim, 4 * units)
    bias: Tensor  # (4 * units,), 1 added for the forget gate
    projection: Tensor | None = None  # (units, projection_dim)

    def transposed(self) -> Kernels:
        """For gradients. A product that transposes a matrix itself takes twice as long."""
        matrices = (self.inputs, self.state, self.projection)
        inputs, state, projection = (m if m is None else ops.transpose(m) for m in matrices)
        return Kernels(inputs, state, self.bias, projection)


class StepGradient(NamedTuple):
    """Gradients by what a step reads, and what the gradients of its kernels are made of.

    Each kernel's gradient is one product over all steps: of the inputs and ``gates``, of
    the h before each step and ``gates``, of ``output`` and ``projected``; the bias's is the
    sum of ``gates``. The gradient by the inputs or by the h before is the product of
    ``gates`` and the transposed kernel.
    """

    gates: Tensor  # (batch, 4 * units)
    c: Tensor  # by the cell state before, (batch, units)
    projected: Tensor  # (batch, projection_dim)
    output: Tensor  # of the cells, no gradient: what was projected, (batch, units)


@dataclasses.dataclass(frozen=True)
class LSTMEquations:
    """The LSTM of Sak et al. (2014); what it is besides its kernels.

    Matrix products are computed in ``product_dtype``, all else in ``compute_dtype``.
    Gates are ordered i, j (the candidate), f, o. An LSTM without a projection has no
    ``projection_clip``.
    """

    cell_clip: float | None
    projection_clip: float | None
    product_dtype: str
    compute_dtype: str

    def product(self, x: Tensor, kernel: Tensor) -> Tensor:
        product = ops.matmul(ops.cast(x, self.product_dtype), kernel)
        return ops.cast(product, self.compute_dtype)

    def gates_of_inputs(self, inputs: Tensor, kernels: Kernels) -> Tensor:
        """The inputs' part in the gates, of any number of steps, (rows, 4 * units)."""
        return self.product(inputs, kernels.inputs) + kernels.bias

    def step(self, gates: Tensor, c: Tensor, kernels: Kernels) -> tuple[Tensor, Tensor]:
        """Takes one step.

        Args:
            gates: The inputs' part and ``product(h, kernels.state)``, (batch, 4 * units).
            c: Cell state (batch, units).
            kernels: The matrices.

        Returns:
            The projected output (batch, projection_dim), of which the new h is
            :meth:`clipped`; and the new c.
        """
        i, j, f, o = _activated(gates)  # (batch, units) each
        c = _clip(f * c + i * j, self.cell_clip)  # (batch, units)
        output = o * ops.tanh(c)  # (batch, units)
        if kernels.projection is None:
            return output, c
        return self.product(output, kernels.projection), c

    def clipped(self, projected: Tensor) -> Tensor:
        return _clip(projected, self.projection_clip)

    def step_gradient(
        self,
        gates: Tensor,
        c: Tensor,
        projected: Tensor,
        dh: Tensor,
        dc: Tensor,
        transposed: Kernels,
    ) -> StepGradient:
        """From the gradients of what a step returned to those of what it read.

        Args:
            gates: What :meth:`step` read, (batch, 4 * units).
            c: The cell state that it read, (batch, units).
            projected: What it returned, (batch, projection_dim).
            dh: The gradient of h, (batch, projection_dim).
            dc: That of the new c by way of all later steps, (batch, units).
            transposed: :meth:`Kernels.transposed`.
        """
        i, j, f, o = _activated(gates)  # (batch, units) each
        c_new = f * c + i * j  # (batch, units)
        tanh_c = ops.tanh(_clip(c_new, self.cell_clip))  # (batch, units)
        d_projected = d_output = _unclipped(dh, projected, self.projection_clip)
        if transposed.projection is not None:
            d_output = self.product(d_projected, transposed.projection)  # (batch, units)
        dc = dc + d_output * o * (1 - tanh_c * tanh_c)  # (batch, units)
        dc = _unclipped(dc, c_new, self.cell_clip)
        d_gates = ops.concatenate(
            [
                dc * j * i * (1 - i),
                dc * i * (1 - j * j),
                dc * c * f * (1 - f),
                d_output * tanh_c * o * (1 - o),
            ],
            axis=-1,
        )  # (batch, 4 * units)
        return StepGradient(d_gates, dc * f, d_projected, o * tanh_c)


def _activated(gates: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    i, j, f, o = ops.split(gates, 4, axis=-1)  # (batch, units) each
    return ops.sigmoid(i), ops.tanh(j), ops.sigmoid(f), ops.sigmoid(o)


def _clip(x: Tensor, limit: float | None) -> Tensor:
    return x if limit is None else ops.clip(x, -limit, limit)


def _unclipped(gradient: Tensor, x: Tensor, limit: float | None) -> Tensor:
    """The gradient of ``x`` from that of ``x`` clipped."""
    if limit is None:
        return gradient
    return ops.where(ops.abs(x) > limit, ops.zeros_like(gradient), gradient)
