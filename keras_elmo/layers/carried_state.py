"""LSTM state that is carried from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_elmo import backends
from keras_elmo.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_elmo")
class CarriedState(keras.Layer):
    """Variables of the given ``sizes`` for the final state of each row of a batch.

    A batch with fewer rows than in ``build`` uses the first ones.
    """

    def __init__(self, sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = list(sizes)
        self.states: list[keras.Variable] = []

    def build(self, input_shape: Shape) -> None:
        rows = input_shape[0]
        if rows is None:
            raise ValueError(
                "stateful needs to know the batch size: declare it, for example with "
                "keras.Input(batch_shape=(32,), dtype='string')."
            )
        backends.needs_one_replica("stateful")
        self.rows = rows
        # The dtype of the cells' states. On PyTorch, autocast would lose assignments too.
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        self.states = [
            self.add_weight(
                name=f"state_{i}",
                shape=(rows, size),
                initializer="zeros",
                dtype=dtype,
                trainable=False,
                autocast=False,
            )
            for i, size in enumerate(self.sizes)
        ]

    def first_rows(self, n_rows: int | Tensor) -> list[Tensor]:
        """The states of the first rows, each (n_rows, size)."""
        message = f"The state was built for batches of up to {self.rows} rows"
        if not isinstance(n_rows, int):
            import tensorflow as tf

            # Before the assignment, whose error would be less clear.
            check = tf.debugging.assert_less_equal(n_rows, self.rows, message)
            with tf.control_dependencies([check]):
                n_rows = tf.identity(n_rows)
        elif n_rows > self.rows:
            raise ValueError(
                f"{message}; got {n_rows}. Build the layer with the largest batch."
            )
        # Copies, because PyTorch changes variables in place, and gradients need the values
        # that were read.
        return [ops.copy(state)[:n_rows] for state in self.states]

    def update(self, new_states: Sequence[Tensor]) -> None:
        """Replaces the first rows with states (n_rows, size)."""
        for state, new in zip(self.states, new_states, strict=True):
            rest = ops.convert_to_tensor(state)[ops.shape(new)[0] :]
            new = ops.cast(new, state.dtype)
            state.assign(ops.concatenate([new, rest], axis=0))  # (rows, size)

    def reset(self) -> None:
        for state in self.states:
            state.assign(ops.zeros(state.shape, state.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sizes": self.sizes}
