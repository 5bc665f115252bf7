"""An LSTM over the steps of a window, with its own gradient."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_elmo.layers.lstm_equations import Gates, Kernels
from keras_elmo.layers.projected_lstm_cell import ProjectedLSTMCell
from keras_elmo.types import Tensor


def lstm(
    cell: ProjectedLSTMCell, inputs: Tensor, h: Tensor, c: Tensor, reverse: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs a cell over (batch, steps, features); ``reverse`` starts at the last step.

    The forward pass keeps the gates, the backward pass computes only their gradients step
    by step, and each kernel's gradient is one product over all steps. The kernels of inputs
    and state form one matrix: the inputs' part of all gates would not fit into the caches.

    Returns:
        The outputs (batch, steps, projection_dim) and the last h and c.
    """
    equations, own = cell.equations, cell.kernels()
    dtype, wide = equations.product_dtype, equations.compute_dtype
    size = cell.projection_dim
    h, c = ops.cast(h, wide), ops.cast(c, wide)
    x = ops.cast(ops.swapaxes(inputs, 0, 1), dtype)  # (steps, batch, features)
    kernel = ops.concatenate([own.inputs, own.state], axis=0)
    weights = [kernel, own.bias]  # (features + size, 4 * units), (4 * units,)
    if own.projection is not None:
        weights.append(own.projection)  # (units, size)

    def recurrence(
        x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, bias: Tensor, *projection: Tensor
    ) -> tuple[Tensor, Any]:
        kernels = Kernels(kernel, kernel, bias, *projection)

        def step(carry: tuple[Tensor, ...], x: Tensor) -> tuple[Any, Any]:
            h, c, *_ = carry
            read = ops.concatenate([x, ops.cast(h, dtype)], axis=-1)
            gates = equations.gates(equations.sums_of_inputs(read, kernels))
            projected, c = equations.step(gates, c, kernels)
            carry = (equations.clipped(projected), c, projected, *gates)
            return carry, carry

        # On TensorFlow, Keras expects a step to return what it carries.
        _, (hs, cs, projected, *gates) = ops.scan(
            step, (h, c, h, c, c, c, c), x, reverse=reverse
        )

        def gradient(*given: Any, upstream: Tensor = None) -> tuple[Tensor, ...]:
            d_states = given[-1] if upstream is None else upstream
            hs_before, cs_before = _before(h, hs, reverse), _before(c, cs, reverse)

            def back(carry: tuple[Tensor, ...], xs: tuple[Tensor, ...]) -> Any:
                (dh, dc, *_), (d, c, projected, *gates) = carry, xs
                dh, dc = dh + d[:, :size], dc + d[:, size:]
                by = equations.step_gradient(Gates(*gates), c, projected, dh, dc, kernels)
                # (batch, features + size)
                d_read = equations.product_back(by.sums, kernels.inputs)
                products = (ops.cast(part, dtype) for part in by if part is not by.c)
                carry = (d_read[:, -size:], by.c, d_read[:, :-size], *products)
                return carry, carry

            start = [ops.zeros_like(part) for part in (h, c, ops.cast(x[0], wide))]
            start += [
                ops.cast(part, dtype) for part in (ops.concatenate([c] * 4, axis=-1), h, c)
            ]
            xs = (d_states, cs_before, projected, *gates)
            (dh, dc, *_), (*_, dx, d_sums, d_projected, outputs) = ops.scan(
                back, tuple(start), xs, reverse=not reverse
            )
            read = ops.concatenate([x, ops.cast(hs_before, dtype)], axis=-1)
            d_bias = ops.sum(ops.cast(d_sums, wide), axis=(0, 1))  # (4 * units,)
            d_weights = [_over_steps(read, d_sums), d_bias]
            if projection:
                d_weights.append(_over_steps(outputs, d_projected))
            return (ops.cast(dx, dtype), dh, dc, *d_weights)

        # On PyTorch, Keras expects a single tensor.
        return ops.concatenate([hs, cs], axis=-1), gradient

    states = ops.custom_gradient(recurrence)(x, h, c, *weights)
    h, c = ops.split(states[0 if reverse else -1], [size], axis=-1)
    return ops.swapaxes(states[..., :size], 0, 1), h, c


def _before(start: Tensor, xs: Tensor, reverse: bool) -> Tensor:
    """The values that each step reads from the step before it."""
    parts = (xs[1:], start[None]) if reverse else (start[None], xs[:-1])
    return ops.concatenate(parts, axis=0)


def _over_steps(x: Tensor, y: Tensor) -> Tensor:
    """The product of transposed x and y over all steps and rows."""
    x, y = (ops.reshape(each, (-1, each.shape[-1])) for each in (x, y))
    return ops.matmul(ops.transpose(x), y)
