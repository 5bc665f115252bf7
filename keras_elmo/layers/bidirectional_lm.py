"""Computes the layers of the bidirectional language model from token vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_elmo import backends
from keras_elmo.layers.packed_bilm import packed_bilm
from keras_elmo.layers.projected_lstm_cell import ProjectedLSTMCell
from keras_elmo.types import Shape, Tensor, check_positive_integer


@keras.saving.register_keras_serializable(package="keras_elmo")
class BidirectionalLM(keras.Layer):
    """The stacked forward and backward LSTMs of ELMo (Peters et al. 2018).

    The two directions have separate layers. The forward layers read a sentence from start
    to end, the backward layers from end to start. Both carry their state unchanged through
    masked steps, so that padding can be at any position.

    Args:
        n_layers: The number of LSTM layers in each direction.
        units: The number of LSTM cells in each direction.
        projection_dim: The size of each direction's output; ``None`` or ``units`` for no
            projection.
        cell_clip: The bound of the cell states, or ``None``.
        projection_clip: The bound of the projected outputs, or ``None``.
        use_skip_connections: Whether each layer after the first adds its input to its
            output. The recurrent state does not include it.
        kernel_initializer: A Keras initializer for the kernels and projections.
        return_boundaries: Whether the output includes the two sentence boundaries.
        return_state: Whether to return the final states too.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        inputs: Token vectors (batch, time + 2, projection_dim), sentence boundaries
            included.
        mask: Booleans (batch, time + 2), true at tokens and boundaries; by default all.
        initial_state: A flat list of tensors, layer by layer: forward h (batch,
            projection_dim) and c (batch, units), backward h and c. By default zeros.

    Returns:
        The layers (batch, time, n_layers + 1, 2 * projection_dim), or with time + 2
        steps if ``return_boundaries``. Layer 0 holds the token vector twice; the other
        layers are the forward and the backward output, concatenated. Masked positions are
        zeros. With ``return_state``, a tuple of the layers and the list of states, ordered
        like ``initial_state``.
    """

    def __init__(
        self,
        n_layers: int,
        units: int,
        projection_dim: int | None = None,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
        use_skip_connections: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        return_boundaries: bool = False,
        return_state: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # states stay in float32
        self.n_layers = check_positive_integer("n_layers", n_layers)
        self.units = units
        self.projection_dim = units if projection_dim is None else projection_dim
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.use_skip_connections = use_skip_connections
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.return_boundaries = return_boundaries
        self.return_state = return_state
        self.supports_masking = True
        self.forward_lstms = [self._lstm("forward", i) for i in range(n_layers)]
        self.backward_lstms = [self._lstm("backward", i) for i in range(n_layers)]

    @property
    def cells(self) -> list[ProjectedLSTMCell]:
        """The forward direction's cells, layer by layer, then the backward direction's."""
        return [lstm.cell for lstm in self.forward_lstms + self.backward_lstms]

    def _lstm(self, direction: str, layer: int) -> keras.layers.RNN:
        cell = ProjectedLSTMCell(
            self.units,
            self.projection_dim,
            self.cell_clip,
            self.projection_clip,
            self.kernel_initializer.clone(),
            name="cell",
            dtype=self.dtype_policy,
        )
        return keras.layers.RNN(
            cell,
            return_sequences=True,
            return_state=True,
            go_backwards=direction == "backward",
            zero_output_for_mask=True,
            name=f"{direction}_{layer}",
            dtype=cell.compute_dtype,  # of the states that it returns
            autocast=False,
        )

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] != self.projection_dim:
            raise ValueError(
                f"inputs: expected token vectors of size projection_dim = "
                f"{self.projection_dim}; got shape {tuple(input_shape)}."
            )
        for lstm in self.forward_lstms + self.backward_lstms:
            lstm.build(tuple(input_shape))

    def call(
        self,
        inputs: Tensor,
        mask: Tensor | None = None,
        initial_state: list[Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        if mask is None:
            mask = ops.ones(ops.shape(inputs)[:2], dtype="bool")  # (batch, time + 2)
        inputs = ops.cast(inputs, self.compute_dtype)
        layers, states = self.run((inputs, inputs), (mask, mask), initial_state)
        stacked = ops.stack(layers, axis=2)  # (batch, time + 2, n_layers + 1, dim)
        if not self.return_boundaries:
            stacked = stacked[:, 1:-1]  # (batch, time, n_layers + 1, dim)
        return (stacked, states) if self.return_state else stacked

    def run(
        self,
        inputs: tuple[Tensor, Tensor],
        masks: tuple[Tensor, Tensor],
        initial_state: list[Tensor] | None = None,
        dropout: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Runs all layers; the directions may read different texts.

        Args:
            inputs: Token vectors (batch, steps, projection_dim) for the forward and for
                the backward direction, both in reading order.
            masks: Booleans (batch, steps) for each direction.
            initial_state: As for the call.
            dropout: A function applied to the inputs of each LSTM layer.

        Returns:
            The layers, (batch, steps, 2 * projection_dim) each, and the states.
        """
        forward, backward = inputs  # (batch, steps, projection_dim)
        pair = [x * _as_factor(m, x) for x, m in zip(inputs, masks, strict=True)]
        layers = [ops.concatenate(pair, axis=-1)]  # (batch, steps, 2 * projection_dim)
        states: list[Tensor] = []
        for i in range(self.n_layers):
            # Forward h and c, backward h and c.
            start = initial_state[4 * i : 4 * i + 4] if initial_state else None
            forward_out, *forward_state = self.forward_lstms[i](
                dropout(forward), mask=masks[0], initial_state=start and start[:2]
            )  # (batch, steps, projection_dim)
            backward_out, *backward_state = self.backward_lstms[i](
                dropout(backward), mask=masks[1], initial_state=start and start[2:]
            )
            forward_out = ops.cast(forward_out, forward.dtype)
            # Back into reading order.
            backward_out = ops.flip(ops.cast(backward_out, backward.dtype), axis=1)
            if self.use_skip_connections and i > 0:
                forward_out, backward_out = forward_out + forward, backward_out + backward
            forward, backward = forward_out, backward_out
            # (batch, steps, 2 * projection_dim)
            layers.append(ops.concatenate([forward, backward], axis=-1))
            states += [*forward_state, *backward_state]
        return layers, states

    def run_piece(
        self, inputs: Tensor, mask: Tensor, states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Runs all layers over a piece of a text; the forward direction continues it.

        Args:
            inputs: Token vectors (batch, time + 2, projection_dim), sentence boundaries
                included. The forward direction reads the first boundary only in a text's
                first piece, and never the last; the backward direction reads both.
            mask: Booleans (batch, time), true at tokens.
            states: For each layer forward h (batch, projection_dim) and c (batch, units);
                then (batch, 1), 0 at the start of a text.

        Returns:
            The layers (batch, time, n_layers + 1, 2 * projection_dim), and the states for
            the next piece.
        """
        *forward_states, begun = states
        begins = begun == 0  # (batch, 1)
        never = ops.zeros_like(begins)  # (batch, 1)
        forward_mask = ops.concatenate([begins, mask, never], axis=1)  # (batch, time + 2)
        backward_mask = ops.pad(mask, [[0, 0], [1, 1]], constant_values=True)
        initial_state: list[Tensor] = []
        for i in range(self.n_layers):
            h_and_c = forward_states[2 * i : 2 * i + 2]
            initial_state += [*h_and_c, *(ops.zeros_like(state) for state in h_and_c)]
        layers, states = self.run(
            (inputs, inputs), (forward_mask, backward_mask), initial_state
        )
        forward_states = [
            state for i in range(self.n_layers) for state in states[4 * i : 4 * i + 2]
        ]
        stacked = ops.stack(layers, axis=2)[:, 1:-1]
        return stacked, [*forward_states, ops.ones_like(begun)]

    def run_packed(
        self,
        vectors: Tensor,
        places: Tensor,
        mask: Tensor,
        differentiable: bool = True,
        keep_boundaries: bool = False,
    ) -> Tensor:
        """Runs all layers without padding, from zero states.

        Args:
            vectors: The vectors of the start of a sentence, of the batch's distinct words,
                and of the end of a sentence, (1 + words + 1, projection_dim).
            places: The index of each token in ``vectors``, int32 (batch, time).
            mask: Booleans (batch, time), true at tokens.
            differentiable: Whether to keep the values that a gradient needs. Otherwise a
                gradient runs all layers again.
            keep_boundaries: Whether the result includes the sentence boundaries, right
                before and after the tokens.

        Returns:
            The layers (batch, time, n_layers + 1, 2 * projection_dim), or with time + 2
            steps if boundaries are kept.
        """
        equations = self.cells[0].equations
        layers_of = packed_bilm(
            equations,
            self.n_layers,
            self.units,
            self.projection_dim,
            self.use_skip_connections,
            differentiable,
            keep_boundaries,
        )
        kernels = [k for cell in self.cells for k in cell.kernels() if k is not None]
        vectors = ops.cast(vectors, equations.product_dtype)
        layers = layers_of(vectors, places, mask, kernels)
        if not backends.is_tensorflow():
            return layers
        import tensorflow as tf

        batch, time = mask.shape
        if keep_boundaries and time is not None:
            time += 2
        return tf.ensure_shape(layers, (batch, time, *layers.shape[2:]))

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        if mask is not None and not self.return_boundaries:
            mask = mask[:, 1:-1]  # (batch, time)
        return [mask] + [None] * (4 * self.n_layers) if self.return_state else mask

    def compute_output_shape(self, input_shape: Shape) -> Any:
        batch, time, _ = input_shape
        if time is not None and not self.return_boundaries:
            time -= 2
        layers = (batch, time, self.n_layers + 1, 2 * self.projection_dim)
        state = [(batch, self.projection_dim), (batch, self.units)]
        return (layers, state * 2 * self.n_layers) if self.return_state else layers

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "n_layers": self.n_layers,
            "units": self.units,
            "projection_dim": self.projection_dim,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "use_skip_connections": self.use_skip_connections,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "return_boundaries": self.return_boundaries,
            "return_state": self.return_state,
        }


def _as_factor(mask: Tensor, like: Tensor) -> Tensor:
    """The mask as numbers (batch, time, 1)."""
    return ops.cast(mask, like.dtype)[..., None]
