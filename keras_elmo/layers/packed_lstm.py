"""The recurrence over packed sentences, and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_elmo.layers.lstm_equations import Gates, Kernels, LSTMEquations
from keras_elmo.types import Tensor

# This many rows of inputs are multiplied with the kernel at once: enough for a fast matrix
# product, and few enough for a small result.
_ROWS_AT_ONCE = 1024
# More for words, because they repeat and only the distinct ones are multiplied.
_WORDS_AT_ONCE = 4096
_ONCE = "ELMo's LSTMs can be differentiated once, not a second time."

_RowsOf = Callable[[Tensor, Tensor], Tensor]
"""From the start and the end of a step to its inputs' part of the gates."""


def packed_lstm(
    equations: LSTMEquations,
    kernels: Kernels,
    inputs: Tensor,
    offsets: Tensor,
    places: Tensor | None = None,
    differentiable: bool = True,
) -> Tensor:
    """Runs an LSTM over packed sentences from zero states, in the TensorFlow graph.

    Each step multiplies only the states of the sentences that have this step. The inputs do
    not depend on the states, and are multiplied for many steps at once.

    TensorFlow's own gradient of a loop keeps all intermediate results, and adds up the
    kernels' gradients step by step in memory. This one keeps the gates and the cell states,
    computes only the gates' gradients step by step, and multiplies once for each kernel. A
    training step takes less than half of the time.

    Args:
        equations: The LSTM.
        kernels: Its matrices.
        inputs: The inputs in packed order, (packed, features); or, with ``places``, the
            vectors of distinct words (words, features), each of which is multiplied once.
        offsets: The start of each step, int32 (steps + 1,); see
            :class:`~keras_elmo.layers.packing.Packing`.
        places: The index of each packed word among the distinct ones, int32 (packed,).
        differentiable: Whether to keep the values that the gradient needs. Otherwise a
            gradient runs all steps again.

    Returns:
        The LSTM's outputs in packed order, (packed, projection_dim).
    """
    import tensorflow as tf

    def run(inputs: Tensor, *kernels: Tensor) -> Any:
        read = (equations, Kernels(*kernels), inputs, offsets, places)
        steps = _run(*read, keep=differentiable)
        outputs = equations.clipped(steps[0])  # (packed, projection_dim)

        def gradient(d_outputs: Tensor) -> list[Tensor]:
            # A persistent tape would also differentiate the kept values.
            kept = map(tf.stop_gradient, steps if differentiable else _run(*read))
            found = _gradient(*read, [*kept], outputs, d_outputs)
            return [tf.raw_ops.PreventGradient(input=d, message=_ONCE) for d in found]

        return outputs, gradient

    tensors = (kernel for kernel in kernels if kernel is not None)
    return tf.custom_gradient(run)(inputs, *tensors)


def _run(
    equations: LSTMEquations,
    kernels: Kernels,
    inputs: Tensor,
    offsets: Tensor,
    places: Tensor | None,
    keep: bool = True,
) -> list[Tensor]:
    """All steps' projected outputs and, if ``keep``, cell states and gates, packed."""
    import tensorflow as tf

    def sums_between(begin: Tensor, end: Tensor) -> _RowsOf:
        if places is None:
            sums = equations.sums_of_inputs(inputs[begin:end], kernels)
            return lambda start, stop: sums[start - begin : stop - begin]
        words, rows = tf.unique(places[begin:end])  # (words here,), (end - begin,)
        sums = equations.sums_of_inputs(tf.gather(inputs, words), kernels)
        return lambda start, stop: tf.gather(sums, rows[start - begin : stop - begin])

    # The number of states' rows falls from step to step. If the batch is a constant,
    # TensorFlow would infer the number and expect it to stay the same.
    offsets = tf.raw_ops.PlaceholderWithDefault(input=offsets, shape=[None])
    n_steps = tf.shape(offsets)[0] - 1
    n_rows = offsets[1]  # those of the first step
    rows_at_once = _ROWS_AT_ONCE if places is None else _WORDS_AT_ONCE
    steps_at_once = tf.maximum(rows_at_once // tf.maximum(n_rows, 1), 1)

    def take(
        step: Tensor, sums: Tensor, c: Tensor, arrays: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        gates = equations.gates(sums)
        projected, c = equations.step(gates, c, kernels)
        values = (tf.cast(projected, equations.product_dtype), c, *gates)
        arrays = tuple(a.write(step, v) for a, v in zip(arrays, values, strict=False))
        return equations.clipped(projected), c, *arrays

    def loop(first: Tensor, last: Tensor, sums_of: _RowsOf, *state: Any) -> tuple[Any, ...]:
        def one_step(step: Tensor, h: Tensor, c: Tensor, *arrays: Any) -> tuple[Any, ...]:
            start, stop = offsets[step], offsets[step + 1]
            n = stop - start
            sums = sums_of(start, stop) + equations.product(h[:n], kernels.state)
            return step + 1, *take(step, sums, c[:n], arrays)

        start = (first, *state)
        return tuple(tf.while_loop(lambda step, *_: step < last, one_step, start))

    def several_steps(first: Tensor, *state: Any) -> tuple[Any, ...]:
        last = tf.minimum(first + steps_at_once, n_steps)
        return loop(first, last, sums_between(offsets[first], offsets[last]), *state)

    size, units = _sizes(kernels)
    arrays = [_array(equations.product_dtype, n_steps, size)]
    if keep:
        arrays += [_array(equations.compute_dtype, n_steps, units) for _ in range(5)]
    # The first step has no h to multiply.
    last = tf.minimum(steps_at_once, n_steps)
    sums_of = sums_between(offsets[0], offsets[last])
    c = tf.zeros([n_rows, units], equations.compute_dtype)
    state = take(0, sums_of(offsets[0], n_rows), c, tuple(arrays))
    state = loop(1, last, sums_of, *state)
    _, _, _, *arrays = tf.while_loop(lambda step, *_: step < n_steps, several_steps, state)
    return [array.concat() for array in arrays]


def _gradient(
    equations: LSTMEquations,
    kernels: Kernels,
    inputs: Tensor,
    offsets: Tensor,
    places: Tensor | None,
    steps: list[Tensor],
    outputs: Tensor,
    d_outputs: Tensor,
) -> list[Tensor]:
    """The gradients of the inputs and of each kernel, from what :func:`_run` returned."""
    import tensorflow as tf

    # (packed, projection_dim), (packed, units), and as many for each gate
    projected, states, *gates = steps

    offsets = tf.raw_ops.PlaceholderWithDefault(input=offsets, shape=[None])
    n_steps = tf.shape(offsets)[0] - 1
    n_rows = offsets[1]  # those of the first step
    size, units = _sizes(kernels)

    def back(
        step: Tensor, dh: Tensor, dc: Tensor, c: Tensor, arrays: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """One step, from the gradients of all later ones."""
        start, stop = offsets[step], offsets[step + 1]
        # Sentences that end here have no later steps.
        ended = [[0, stop - start - tf.shape(dh)[0]], [0, 0]]
        dh = tf.pad(dh, ended) + tf.cast(d_outputs[start:stop], dh.dtype)
        d = equations.step_gradient(
            Gates(*(gate[start:stop] for gate in gates)),  # (rows, units) each
            c,
            tf.cast(projected[start:stop], dh.dtype),
            dh,
            tf.pad(dc, ended),
            kernels,
        )
        values = (d.sums, d.projected, d.output)
        arrays = tuple(a.write(step, v) for a, v in zip(arrays, values, strict=False))
        return d.sums, d.c, arrays

    def one_step(step: Tensor, dh: Tensor, dc: Tensor, *arrays: Any) -> tuple[Any, ...]:
        before = offsets[step - 1]
        c = states[before : before + offsets[step + 1] - offsets[step]]  # (rows, units)
        d_sums, dc, arrays = back(step, dh, dc, c, arrays)
        return step - 1, equations.product_back(d_sums, kernels.state), dc, *arrays

    sizes = [4 * units, size, units]
    arrays = [
        _array(equations.compute_dtype, n_steps, n)
        for n in (sizes[:1] if kernels.projection is None else sizes)
    ]
    n_last = offsets[-1] - offsets[-2]  # rows of the last step
    dh = tf.zeros([n_last, size], equations.compute_dtype)
    dc = tf.zeros([n_last, units], equations.compute_dtype)
    _, dh, dc, *arrays = tf.while_loop(
        lambda step, *_: step > 0, one_step, (n_steps - 1, dh, dc, *arrays)
    )
    # The first step has read no states.
    *_, arrays = back(0, dh, dc, tf.zeros([n_rows, units], dc.dtype), arrays)
    d_sums, *of_projection = (array.concat() for array in arrays)

    def of_kernel(read: Tensor, d_result: Tensor) -> Tensor:
        read, d_result = (tf.cast(x, equations.product_dtype) for x in (read, d_result))
        return tf.matmul(read, d_result, transpose_a=True)

    counts = offsets[1:] - offsets[:-1]  # (steps,)
    before = tf.range(n_rows, offsets[-1]) - tf.repeat(counts[:-1], counts[1:])
    d_state = of_kernel(tf.gather(outputs, before), d_sums[n_rows:])
    d_bias = tf.reduce_sum(d_sums, axis=0)  # (4 * units,)
    if places is not None:
        d_sums = tf.math.unsorted_segment_sum(d_sums, places, tf.shape(inputs)[0])
    d_inputs = equations.product_back(d_sums, kernels.inputs)  # as the inputs
    gradients = [tf.cast(d_inputs, inputs.dtype), of_kernel(inputs, d_sums), d_state]
    if of_projection:
        d_projected, output = of_projection
        return [*gradients, d_bias, of_kernel(output, d_projected)]
    return [*gradients, d_bias]


def _sizes(kernels: Kernels) -> tuple[int, int]:
    size, n_gates = kernels.state.shape
    return size, n_gates // 4  # projection_dim, units


def _array(dtype: str, n_steps: Tensor, size: int) -> Any:
    import tensorflow as tf

    return tf.TensorArray(dtype, n_steps, element_shape=[None, size], infer_shape=False)
