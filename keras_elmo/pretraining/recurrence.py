"""An LSTM over the steps of a window, with its own gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from keras_elmo import backends
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
    size, units = cell.projection_dim, cell.units
    h, c = ops.cast(h, wide), ops.cast(c, wide)
    x = ops.cast(ops.swapaxes(inputs, 0, 1), dtype)  # (steps, batch, features)
    n_steps, n_rows, n_features = ops.shape(x)
    n_outputs = n_steps * n_rows * size
    kernel = ops.concatenate([own.inputs, own.state], axis=0)
    weights = [kernel, own.bias]  # (features + size, 4 * units), (4 * units,)
    if own.projection is not None:
        weights.append(own.projection)  # (units, size)

    def recurrence(
        x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, bias: Tensor, *projection: Tensor
    ) -> tuple[Tensor, Any]:
        kernels = Kernels(kernel, kernel, bias, *projection)

        def step(carry: tuple[Tensor, ...], x: tuple[Tensor]) -> tuple[Any, Any]:
            h, c = carry
            read = ops.concatenate([*x, h], axis=-1)  # (batch, features + size)
            gates = equations.gates(equations.sums_of_inputs(read, kernels))
            projected, new_c = equations.step(gates, c, kernels)
            h = ops.cast(equations.clipped(projected), dtype)
            return (h, new_c), (read, projected, c, *gates)

        kinds = [(dtype, n_features + size), (wide, size), *[(wide, units)] * 5]
        (_, last_c), kept = _scan(step, (ops.cast(h, dtype), c), (x,), kinds, reverse)
        read, projected, *_ = kept
        outputs = equations.clipped(_stacked(projected))  # (steps, batch, size)

        def gradient(*given: Any, upstream: Tensor = None) -> tuple[Tensor, ...]:
            d = given[-1] if upstream is None else upstream
            d_outputs = ops.reshape(d[:n_outputs], (n_steps, n_rows, size))
            d_c = ops.reshape(d[n_outputs:], (n_rows, units))
            of_inputs, of_state = ops.split(kernel, [n_features])
            kernels = Kernels(of_inputs, of_state, bias, *projection).transposed()

            def back(carry: tuple[Tensor, ...], xs: tuple[Tensor, ...]) -> Any:
                (dh, dc), (d, projected, c, *gates) = carry, xs
                by = equations.step_gradient(
                    Gates(*gates), c, projected, dh + d, dc, kernels
                )
                dh = equations.product(by.sums, kernels.state)  # (batch, size)
                products = (by.sums, by.projected, by.output)
                return (dh, by.c), tuple(ops.cast(part, dtype) for part in products)

            (dh, dc), found = _scan(
                back,
                (ops.zeros_like(h), d_c),
                (d_outputs, *kept[1:]),
                [(dtype, 4 * units), (dtype, size), (dtype, units)],
                not reverse,
            )
            d_sums, d_projected, cells = (
                ops.reshape(_stacked(part), (n_steps * n_rows, -1)) for part in found
            )  # (steps * batch, 4 * units), (steps * batch, size), (steps * batch, units)
            dx = ops.cast(equations.product(d_sums, kernels.inputs), dtype)
            rows = ops.reshape(_stacked(read), (-1, n_features + size))
            # TensorFlow sums rows far slower than it multiplies them.
            ones = ops.ones((1, n_steps * n_rows), dtype)
            d_bias = ops.cast(ops.matmul(ones, d_sums)[0], wide)  # (4 * units,)
            d_weights = [ops.matmul(ops.transpose(rows), d_sums), d_bias]
            if projection:
                d_weights.append(ops.matmul(ops.transpose(cells), d_projected))
            return (ops.reshape(dx, ops.shape(x)), dh, dc, *d_weights)

        # On PyTorch, Keras expects a single tensor.
        flat = [ops.reshape(part, (-1,)) for part in (outputs, last_c)]
        return ops.concatenate(flat), gradient

    found = ops.custom_gradient(recurrence)(x, h, c, *weights)
    outputs = ops.reshape(found[:n_outputs], (n_steps, n_rows, size))
    last = outputs[0 if reverse else -1]  # (batch, size)
    last_c = ops.reshape(found[n_outputs:], (n_rows, units))
    return ops.swapaxes(outputs, 0, 1), last, last_c


def _scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: tuple[Tensor, ...],
    xs: Sequence[Any],
    kinds: Sequence[tuple[str, int]],
    reverse: bool,
) -> tuple[Any, list[Any]]:
    """``ops.scan``; ``kinds`` are the dtypes and widths of what each step returns to keep.

    On TensorFlow, where Keras stacks and splits all values, and carries them in arrays too,
    this returns arrays, and takes such.
    """
    if not backends.is_tensorflow():
        carry, ys = ops.scan(step, carry, tuple(xs), reverse=reverse)
        return carry, list(ys)
    import tensorflow as tf

    n = ops.shape(xs[0])[0]

    def body(i: Tensor, carry: Any, ys: Any) -> Any:
        at = n - 1 - i if reverse else i
        read = (x.read(at) if isinstance(x, tf.TensorArray) else x[at] for x in xs)
        carry, values = step(carry, tuple(read))
        return i + 1, carry, [y.write(at, v) for y, v in zip(ys, values, strict=True)]

    n_rows = carry[0].shape[0]
    ys = [
        tf.TensorArray(dtype, n, clear_after_read=False, element_shape=[n_rows, width])
        for dtype, width in kinds
    ]
    _, carry, ys = tf.while_loop(lambda i, *_: i < n, body, (0, carry, ys))
    return carry, ys


def _stacked(ys: Any) -> Tensor:
    return ys.stack() if backends.is_tensorflow() else ys
