"""The recurrence over packed sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_elmo.layers.projected_lstm_cell import ProjectedLSTMCell
from keras_elmo.types import Tensor

# Inputs of so many rows are multiplied with the kernel at once: enough for the matrix
# product to be fast, few enough for its result to stay small.
_ROWS_AT_ONCE = 1024
# As many words repeat themselves, and only the distinct ones are multiplied.
_WORDS_AT_ONCE = 4096

_RowsOf = Callable[[Tensor, Tensor], Tensor]
"""From where a step begins and ends to its inputs' part in the gates."""


def packed_lstm(
    cell: ProjectedLSTMCell, inputs: Tensor, offsets: Tensor, places: Tensor | None = None
) -> Tensor:
    """Runs an LSTM over packed sentences from zero states, in the TensorFlow graph.

    A step multiplies only the states of the sentences that take part in it. The inputs
    do not have to wait for the states, and are multiplied for many steps at once.

    Args:
        cell: The LSTM.
        inputs: What it reads in packed order, (packed, features); or, with ``places``,
            the vectors of distinct words (words, features), each of which is multiplied
            once. Differentiated that would be slow.
        offsets: Where each step begins, int32 (steps + 1,); see
            :class:`~keras_elmo.layers.packing.Packing`.
        places: The place of each packed word among the distinct ones, int32 (packed,).

    Returns:
        The cell's outputs in packed order, (packed, projection_dim).
    """
    import tensorflow as tf

    kernels = cell.kernels()

    def gates_between(begin: Tensor, end: Tensor) -> _RowsOf:
        if places is None:
            gates = cell.gates_of_inputs(inputs[begin:end], kernels)  # (rows, 4 * units)
            return lambda start, stop: gates[start - begin : stop - begin]
        words, rows = tf.unique(places[begin:end])  # (words here,), (end - begin,)
        gates = cell.gates_of_inputs(tf.gather(inputs, words), kernels)
        return lambda start, stop: tf.gather(gates, rows[start - begin : stop - begin])

    # States have fewer rows from step to step. TensorFlow, which would find out their
    # number if the batch is a constant, must not expect that it stays.
    offsets = tf.raw_ops.PlaceholderWithDefault(input=offsets, shape=[None])
    n_steps = tf.shape(offsets)[0] - 1
    n_rows = offsets[1]  # those of the first step
    rows_at_once = _ROWS_AT_ONCE if places is None else _WORDS_AT_ONCE
    steps_at_once = tf.maximum(rows_at_once // tf.maximum(n_rows, 1), 1)

    def loop(
        first: Tensor, last: Tensor, gates_of: _RowsOf, *state: Any
    ) -> tuple[Any, ...]:
        def one_step(step: Tensor, h: Tensor, c: Tensor, outputs: Any) -> tuple[Any, ...]:
            start, stop = offsets[step], offsets[step + 1]
            n = stop - start
            h, c = cell.step(gates_of(start, stop), h[:n], c[:n], kernels)
            return step + 1, h, c, write(outputs, step, h)

        start = (first, *state)
        return tuple(tf.while_loop(lambda step, *_: step < last, one_step, start))

    def several_steps(first: Tensor, *state: Any) -> tuple[Any, ...]:
        last = tf.minimum(first + steps_at_once, n_steps)
        return loop(first, last, gates_between(offsets[first], offsets[last]), *state)

    def write(outputs: Any, step: Tensor, h: Tensor) -> Any:
        return outputs.write(step, tf.cast(h, cell.product_dtype))

    outputs = tf.TensorArray(
        cell.product_dtype,
        n_steps,
        element_shape=[None, cell.projection_dim],
        infer_shape=False,
    )
    # The first step has no h to multiply.
    last = tf.minimum(steps_at_once, n_steps)
    gates_of = gates_between(offsets[0], offsets[last])
    c = tf.zeros([n_rows, cell.units], cell.compute_dtype)
    h, c = cell.step(gates_of(offsets[0], n_rows), None, c, kernels)
    state = loop(1, last, gates_of, h, c, write(outputs, 0, h))
    *_, outputs = tf.while_loop(lambda step, *_: step < n_steps, several_steps, state)
    return outputs.concat()  # (packed, projection_dim)
