"""The steps of packed sentences, one after another, on each backend of Keras."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_elmo import backends
from keras_elmo.layers.lstm_equations import LSTMEquations, LSTMEquationsOfColumns
from keras_elmo.layers.packing import Packing
from keras_elmo.types import Tensor

# A matrix product of fewer rows takes hardly less time.
_FEWEST_ROWS = 32
# Words that are multiplied at once on JAX.
_CHUNK = 512

Tensors = tuple[Any, ...]


def steps_of(packing: Packing) -> Steps:
    """The steps on the current backend."""
    if backends.is_tensorflow():
        return _InAGraph(packing)
    return (_InColumns if backends.has_static_shapes() else Steps)(packing)


class Steps:
    """Loops over steps, and what they read and write: the rows that take part in them.

    This is PyTorch's way: loops of Python, and slices.
    """

    # Whether the first step, which has no state to multiply, is worth code of its own.
    first_apart = True

    def __init__(self, packing: Packing) -> None:
        self.starts: Any = keras.ops.convert_to_numpy(packing.starts).tolist()
        self.counts: Any = keras.ops.convert_to_numpy(packing.counts).tolist()
        self.n_steps: Any = len(self.starts)

    def at_once(self, n_rows: int) -> Any:
        """The number of steps, at least one, with about ``n_rows`` rows in total."""
        return max(1, n_rows // max(1, self.counts[0]))

    def last(self, first: Any, n_steps: Any) -> Any:
        """The end of ``n_steps`` steps."""
        return min(first + n_steps, self.n_steps)

    def part(self, packed: Tensor, first: Any, n_steps: Any) -> tuple[Any, Tensor]:
        """The rows of ``n_steps`` steps, and the first of these steps."""
        last = self.last(first, n_steps) - 1
        return first, packed[self.starts[first] : self.starts[last] + self.counts[last]]

    def by_word(
        self, function: Callable[[Tensor], Tensor], words: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Applies a function to the words at some places, to each of them once.

        Args:
            function: Of rows to as many rows.
            words: One in each row.
            places: Rows of words, which may repeat.

        Returns:
            The function's rows, and which of them belongs to each place.
        """
        distinct, rows = self.distinct(places)
        return function(ops.take(words, distinct, axis=0)), rows

    def distinct(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Distinct places, and the index of each place among them."""
        words, rows = sys.modules["torch"].unique(places, return_inverse=True)
        return words, rows

    def summed_by_word(
        self,
        function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        words: Tensor,
        places: Tensor,
        packed: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Applies a function to words and to the sums of the packed rows of each.

        Of the results, the first has a row for each word, the second is a sum over words.
        """
        return function(words, self.sums(packed, places, ops.shape(words)[0]))

    def sums(self, packed: Tensor, places: Tensor, n_words: Any) -> Tensor:
        """The sum of the packed rows of each word."""
        # Keras' segment_sum would repeat the places for each column.
        return packed.new_zeros((n_words, packed.shape[1])).index_add_(0, places, packed)

    def equations(self, equations: LSTMEquations) -> LSTMEquations:
        """Those for what :meth:`take` hands to its function."""
        return equations

    def looked_up(self, table: Tensor, row: Tensor) -> Tensor:
        """Rows of a table, as :meth:`take` hands rows to its function."""
        return ops.take(table, row, axis=0)

    def loop(
        self, first: Any, last: Any, body: Callable[..., Tensors], *state: Any
    ) -> Tensors:
        """Runs a body, which takes a step and the state that it has returned before."""
        for step in range(first, last):
            state = body(step, *state)
        return state

    def zeros(self, step: Any, width: int, dtype: str) -> Tensor:
        return ops.zeros((self.counts[step], width), dtype)

    def take(
        self,
        step: Any,
        function: Callable[..., Tensors],
        state: Tensors,
        packed: Tensors,
        first: Any = 0,
    ) -> Tensors:
        """What a function returns of the rows of one step.

        Args:
            step: Its number.
            function: Of the rows of each ``state``, then of each of ``packed``.
            state: Of the step before, or of the one after: zeros for other sentences.
            packed: Of all steps, or of those from ``first`` on.
            first: The first step in ``packed``.
        """
        start, n = self.starts[step] - self.starts[first], self.counts[step]
        rows = (x[start : start + n] for x in packed)
        return function(*(self._with_rows(x, n) for x in state), *rows)

    def _with_rows(self, state: Tensor, n: int) -> Tensor:
        missing = n - state.shape[0]
        return ops.pad(state, [[0, missing], [0, 0]]) if missing > 0 else state[:n]

    def arrays(self, *kinds: tuple[str, int]) -> Tensors:
        """An array to which all steps write rows of a dtype and a width."""
        n = self.starts[-1] + self.counts[-1]
        return tuple(ops.empty((n, width), dtype) for dtype, width in kinds)

    def arrays_to_take(self, *kinds: tuple[str, int]) -> Tensors:
        """The same, if only :meth:`take` reads them."""
        return self.arrays(*kinds)

    def write(self, step: Any, arrays: Tensors, values: Tensors) -> Tensors:
        """Writes the values of a step, of which there may be more than arrays."""
        start = self.starts[step]
        for array, value in zip(arrays, values, strict=False):
            array[start : start + self.counts[step]] = value
        return arrays

    def written(self, arrays: Tensors) -> list[Tensor]:
        """The arrays, packed."""
        return list(arrays)


class _InAGraph(Steps):
    """TensorFlow's way: loops and slices in the graph."""

    def __init__(self, packing: Packing) -> None:
        import tensorflow as tf

        # States have fewer rows from step to step. TensorFlow, which would find out their
        # number if the batch is a constant, must not expect that it stays.
        self.starts, self.counts = (
            tf.raw_ops.PlaceholderWithDefault(input=x, shape=[None])
            for x in (packing.starts, packing.counts)
        )
        self.n_steps = tf.shape(self.starts)[0]

    def at_once(self, n_rows: int) -> Tensor:
        return ops.maximum(n_rows // ops.maximum(self.counts[0], 1), 1)

    def last(self, first: Any, n_steps: Any) -> Tensor:
        return ops.minimum(first + n_steps, self.n_steps)

    def distinct(self, places: Tensor) -> tuple[Tensor, Tensor]:
        import tensorflow as tf

        words, rows = tf.unique(places)
        return words, rows

    def sums(self, packed: Tensor, places: Tensor, n_words: Any) -> Tensor:
        return ops.segment_sum(packed, places, n_words)

    def loop(
        self, first: Any, last: Any, body: Callable[..., Tensors], *state: Any
    ) -> Tensors:
        import tensorflow as tf

        found = tf.while_loop(
            lambda step, *_: step < last,
            lambda step, *state: (step + 1, *body(step, *state)),
            (first, *state),
        )
        return tuple(found[1:])

    def _with_rows(self, state: Tensor, n: Tensor) -> Tensor:
        import tensorflow as tf

        missing = tf.maximum(n - tf.shape(state)[0], 0)
        return tf.pad(state[:n], [[0, missing], [0, 0]])

    def arrays(self, *kinds: tuple[str, int]) -> Tensors:
        import tensorflow as tf

        return tuple(
            tf.TensorArray(
                dtype, self.n_steps, element_shape=[None, width], infer_shape=False
            )
            for dtype, width in kinds
        )

    def write(self, step: Any, arrays: Tensors, values: Tensors) -> Tensors:
        return tuple(a.write(step, v) for a, v in zip(arrays, values, strict=False))

    def written(self, arrays: Tensors) -> list[Tensor]:
        return [array.concat() for array in arrays]


class _InColumns(Steps):
    """JAX's way: each step has rows for all sentences, and works on the first of them.

    Only their number and that of the steps depend on values. What is in the other rows is
    read by nobody, and its gradient is zero. Within a step sentences are columns, which XLA
    multiplies faster (:class:`LSTMEquationsOfColumns`).
    """

    first_apart = False

    def __init__(self, packing: Packing) -> None:
        self.counts = packing.counts
        self.n_steps = ops.sum(ops.cast(packing.counts > 0, "int32"))
        self._n_rows: int = packing.positions[0].shape[0]
        self._most_steps: int = packing.counts.shape[0]
        # A program for each of a few numbers of rows.
        sizes = [self._n_rows]
        while sizes[-1] // 2 >= _FEWEST_ROWS:
            sizes.append(-(-sizes[-1] // 2))
        self._sizes = sizes[::-1]

    def at_once(self, n_rows: int) -> int:
        return min(max(1, n_rows // max(1, self._n_rows)), self._most_steps)

    def last(self, first: Any, n_steps: Any) -> Tensor:
        return ops.minimum(first + n_steps, self.n_steps)

    def part(self, packed: Tensor, first: Any, n_steps: Any) -> tuple[Any, Tensor]:
        first = ops.minimum(first, self._most_steps - n_steps)
        return first, self._rows(packed, first, n_steps)

    def _rows(self, packed: Tensor, first: Any, n_steps: int) -> Tensor:
        start = (first * self._n_rows,) + (0,) * (len(packed.shape) - 1)
        return ops.slice(packed, start, (n_steps * self._n_rows, *packed.shape[1:]))

    def equations(self, equations: LSTMEquations) -> LSTMEquations:
        return LSTMEquationsOfColumns(**dataclasses.asdict(equations))

    def by_word(
        self, function: Callable[[Tensor], Tensor], words: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        import jax

        size, n_chunks, distinct, rows = self._chunks(places)
        one = jax.eval_shape(function, words[:1])
        table = ops.zeros((len(distinct), one.shape[1]), one.dtype)

        def fill(i: Tensor, table: Tensor) -> Tensor:
            some = ops.take(words, ops.slice(distinct, (i * size,), (size,)), axis=0)
            return ops.slice_update(table, (i * size, 0), function(some))

        return jax.lax.fori_loop(0, n_chunks, fill, table), rows

    def _chunks(self, places: Tensor) -> tuple[int, Tensor, Tensor, Tensor]:
        """The size and number of chunks, distinct places, and each place's among these.

        The first distinct place fills up the last chunk.
        """
        import jax

        n = len(places)
        size = min(_CHUNK, n)
        distinct, rows = jax.numpy.unique(places, return_inverse=True, size=n + -n % size)
        return size, ops.max(rows) // size + 1, distinct, rows

    def summed_by_word(
        self,
        function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        words: Tensor,
        places: Tensor,
        packed: Tensor,
    ) -> tuple[Tensor, Tensor]:
        import jax

        size, n_chunks, distinct, rows = self._chunks(places)
        sums = ops.segment_sum(packed, rows, len(distinct))

        def of_chunk(i: Any) -> tuple[Tensor, Tensor, Tensor]:
            these = ops.slice(distinct, (i * size,), (size,))
            summed = ops.slice(sums, (i * size, 0), (size, sums.shape[1]))
            return these, *function(ops.take(words, these, axis=0), summed)

        def add(i: Tensor, found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            these, rows, total = of_chunk(i)
            return found[0].at[these].add(rows), found[1] + total

        _, some, total = jax.eval_shape(of_chunk, 0)
        nothing = (
            ops.zeros((len(words), some.shape[1]), some.dtype),
            ops.zeros(total.shape, total.dtype),
        )
        found: tuple[Tensor, Tensor] = jax.lax.fori_loop(0, n_chunks, add, nothing)
        return found

    def looked_up(self, table: Tensor, row: Tensor) -> Tensor:
        return ops.transpose(ops.take(table, row, axis=0))

    def loop(
        self, first: Any, last: Any, body: Callable[..., Tensors], *state: Any
    ) -> Tensors:
        import jax

        found: Tensors = jax.lax.fori_loop(first, last, lambda i, s: body(i, *s), state)
        return found

    def zeros(self, step: Any, width: int, dtype: str) -> Tensor:
        return ops.zeros((width, self._n_rows), dtype)

    def take(
        self,
        step: Any,
        function: Callable[..., Tensors],
        state: Tensors,
        packed: Tensors,
        first: Any = 0,
    ) -> Tensors:
        def of(size: int) -> Callable[..., Tensors]:
            def padded(*xs: Tensor) -> Tensors:
                columns = [[0, 0], [0, self._n_rows - size]]
                values = function(*(x[..., :size] for x in xs))
                return tuple(ops.pad(value, columns) for value in values)

            return padded

        xs = (*state, *(self._columns(x, step - first) for x in packed))
        enough = sum(ops.cast(self.counts[step] > s, "int32") for s in self._sizes[:-1])
        if len(self._sizes) == 1:
            return of(self._n_rows)(*xs)
        found: Tensors = ops.switch(enough, [of(size) for size in self._sizes], *xs)
        return found

    def _columns(self, x: Tensor, step: Any) -> Tensor:
        if len(x.shape) == 3:  # (steps, width, rows)
            return x[step]
        return ops.transpose(self._rows(x, step, 1))

    def arrays(self, *kinds: tuple[str, int]) -> Tensors:
        n = self._most_steps * self._n_rows
        return tuple(ops.zeros((n, width), dtype) for dtype, width in kinds)

    def arrays_to_take(self, *kinds: tuple[str, int]) -> Tensors:
        n_steps, n_rows = self._most_steps, self._n_rows
        return tuple(ops.zeros((n_steps, width, n_rows), dtype) for dtype, width in kinds)

    def write(self, step: Any, arrays: Tensors, values: Tensors) -> Tensors:
        def written(array: Tensor, value: Tensor) -> Tensor:
            if len(array.shape) == 3:  # (steps, width, rows)
                return ops.slice_update(array, (step, 0, 0), value[None])
            return ops.slice_update(array, (step * self._n_rows, 0), ops.transpose(value))

        return tuple(map(written, arrays, values))
