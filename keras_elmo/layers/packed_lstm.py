"""The recurrence over packed sentences, and its gradient."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_elmo.layers.lstm_equations import Gates, Kernels, LSTMEquations
from keras_elmo.layers.matmul import matmul
from keras_elmo.layers.own_gradient import with_gradient
from keras_elmo.layers.packing import Packing
from keras_elmo.layers.steps import Tensors, steps_of
from keras_elmo.types import Tensor

# This many rows of inputs are multiplied with the kernel at once: enough for a fast matrix
# product, and few enough for a small result.
_ROWS_AT_ONCE = 1024
# More for words, because they repeat and only the distinct ones are multiplied.
_WORDS_AT_ONCE = 4096


def packed_lstm(
    equations: LSTMEquations,
    kernels: Kernels,
    inputs: Tensor,
    packing: Packing,
    places: Tensor | None = None,
    differentiable: bool = True,
) -> Tensor:
    """Runs an LSTM over packed sentences from zero states.

    Each step multiplies only the states of the sentences that have this step. The inputs do
    not depend on the states, and are multiplied for many steps at once.

    The backends' own gradients of a loop keep every result in it, and sum the kernels'
    gradients up step by step in memory. This one keeps the gates and the states, goes back
    through the steps for the gradient of the gates only, and multiplies once for each
    kernel. On TensorFlow a training step takes less than half of the time.

    Args:
        equations: The LSTM.
        kernels: Its matrices.
        inputs: What it reads in packed order, (packed, features); or, with ``places``,
            the vectors of distinct words (words, features), each of which is multiplied
            once.
        packing: How the sentences are packed.
        places: The place of each packed word among the distinct ones, int32 (packed,).
        differentiable: Whether to keep what the gradient needs. Without it a gradient takes
            all steps once more.

    Returns:
        The LSTM's outputs in packed order, (packed, projection_dim).
    """

    def forward(integers: Any, inputs: Tensor, *kernels: Tensor) -> Any:
        packing, places = integers
        read = (equations, Kernels(*kernels), inputs, packing, places)
        kept = _run(*read, differentiable)
        return equations.clipped(kept[0]), kept  # (packed, projection_dim)

    def backward(integers: Any, tensors: Any, kept: list[Tensor], d: Tensor) -> Any:
        inputs, *kernels = tensors
        packing, places = integers
        read = (equations, Kernels(*kernels), inputs, packing, places)
        # A persistent tape would also differentiate what is kept.
        again = map(ops.stop_gradient, kept if differentiable else _run(*read))
        return _gradient(*read, [*again], d)

    tensors = (kernel for kernel in kernels if kernel is not None)
    function = with_gradient(forward, backward)
    return function((packing, places), inputs, *tensors)


def _run(
    equations: LSTMEquations,
    kernels: Kernels,
    inputs: Tensor,
    packing: Packing,
    places: Tensor | None,
    keep: bool = True,
) -> list[Tensor]:
    """The projected outputs and, to ``keep``, the states and gates of all steps, packed."""
    size, units = _sizes(kernels)
    steps = steps_of(packing)
    of_step = steps.equations(equations)
    oriented = of_step.oriented(kernels)
    at_once = steps.at_once(_ROWS_AT_ONCE if places is None else _WORDS_AT_ONCE)

    def part_from(first: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The first step, and the inputs' part of the gates, or its position."""
        begin, some = steps.part(inputs if places is None else places, first, at_once)

        def sums(inputs: Tensor) -> Tensor:
            return equations.sums_of_inputs(inputs, kernels)

        if places is None:
            return begin, sums(some), None
        table, rows = steps.by_word(sums, inputs, some)  # (words here, ...), (some,)
        return begin, rows, table

    def loop(first: Tensor, last: Tensor, part: Tensors, *state: Any) -> Tensors:
        begin, rows, table = part

        def one_step(step: Tensor, h: Tensor, c: Tensor, *arrays: Any) -> Tensors:
            def of_rows(h: Tensor, c: Tensor, row: Tensor) -> Tensors:
                sums = row if table is None else steps.looked_up(table, row)
                if first is not None:
                    sums = sums + of_step.product(h, oriented.state)
                gates = of_step.gates(sums)  # (rows, units) each
                projected, new_c = of_step.step(gates, c, oriented)
                kept = (ops.cast(x, equations.product_dtype) for x in (projected, h))
                return equations.clipped(projected), new_c, *kept, c, *gates

            h, c, *values = steps.take(step, of_rows, (h, c), (rows,), begin)
            return h, c, *steps.write(step, arrays, tuple(values))

        if first is None:
            return one_step(0, *state)
        return steps.loop(first, last, one_step, *state)

    def several_steps(i: Tensor, *state: Any) -> Tensors:
        first = i * at_once
        return loop(first, steps.last(first, at_once), part_from(first), *state)

    found = steps.arrays(*[(equations.product_dtype, size)] * (1 + keep))
    if keep:
        found += steps.arrays_to_take(*[(equations.compute_dtype, units)] * 5)
    h, c = (steps.zeros(0, width, equations.compute_dtype) for width in (size, units))
    state = (h, c, *found)
    if steps.first_apart:
        part = part_from(0)
        state = loop(None, 1, part, *state)
        state = loop(1, steps.last(0, at_once), part, *state)
    n_parts = (steps.n_steps + at_once - 1) // at_once
    _, _, *arrays = steps.loop(int(steps.first_apart), n_parts, several_steps, *state)
    return steps.written(tuple(arrays))


def _gradient(
    equations: LSTMEquations,
    kernels: Kernels,
    inputs: Tensor,
    packing: Packing,
    places: Tensor | None,
    kept: list[Tensor],
    d_outputs: Tensor,
) -> list[Tensor]:
    """The gradients of the inputs and of each kernel, from what :func:`_run` returned."""
    steps = steps_of(packing)
    h_before, *read = kept[1:]  # (packed, projection_dim); as steps.take reads them
    size, units = _sizes(kernels)
    of_step = steps.equations(equations)
    transposed = kernels.transposed()
    oriented = of_step.oriented(transposed)

    def back(step: Tensor, dh: Tensor, dc: Tensor, *arrays: Any) -> Tensors:
        """One step, from the gradients of all later ones."""

        def of_rows(dh: Tensor, dc: Tensor, d_output: Tensor, *read: Tensor) -> Tensors:
            projected, c, *gates = read
            dh = dh + ops.cast(d_output, dh.dtype)
            projected = ops.cast(projected, dh.dtype)
            d = of_step.step_gradient(Gates(*gates), c, projected, dh, dc, oriented)
            dh = of_step.product(d.sums, oriented.state)
            return dh, d.c, d.sums, d.projected, d.output

        packed = (d_outputs, kept[0], *read)
        dh, dc, *values = steps.take(step, of_rows, (dh, dc), packed)
        return dh, dc, *steps.write(step, arrays, tuple(values))

    widths = [4 * units] if kernels.projection is None else [4 * units, size, units]
    kinds = [(equations.compute_dtype, width) for width in widths]
    last = steps.n_steps - 1
    dh, dc = (steps.zeros(last, width, equations.compute_dtype) for width in (size, units))
    _, _, *arrays = steps.loop(
        0,
        steps.n_steps,
        lambda i, *state: back(last - i, *state),
        *(dh, dc, *steps.arrays(*kinds)),
    )
    d_sums, *of_projection = steps.written(tuple(arrays))

    def of_kernel(read: Tensor, d_result: Tensor) -> Tensor:
        read, d_result = (ops.cast(x, equations.product_dtype) for x in (read, d_result))
        return matmul(ops.transpose(read), d_result)

    d_state = of_kernel(h_before, d_sums)
    d_bias = ops.sum(d_sums, axis=0)  # (4 * units,)

    def of_inputs(inputs: Tensor, d_sums: Tensor) -> tuple[Tensor, Tensor]:
        return equations.product(d_sums, transposed.inputs), of_kernel(inputs, d_sums)

    if places is None:
        d_inputs, d_kernel = of_inputs(inputs, d_sums)
    else:
        d_inputs, d_kernel = steps.summed_by_word(of_inputs, inputs, places, d_sums)
    gradients = [ops.cast(d_inputs, inputs.dtype), d_kernel, d_state]
    if of_projection:
        d_projected, output = of_projection
        return [*gradients, d_bias, of_kernel(output, d_projected)]
    return [*gradients, d_bias]


def _sizes(kernels: Kernels) -> tuple[int, int]:
    size, n_gates = kernels.state.shape
    return size, n_gates // 4  # projection_dim, units
