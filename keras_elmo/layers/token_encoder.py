"""Computes context-free token vectors from character ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from keras.initializers import Constant, RandomNormal, RandomUniform

from keras_elmo.layers.token_mask import token_mask
from keras_elmo.text.characters import N_CHARACTERS
from keras_elmo.types import (
    Shape,
    Tensor,
    check_integer,
    check_one_of,
    check_positive_integer,
)


@keras.saving.register_keras_serializable(package="keras_elmo")
class TokenEncoder(keras.Layer):
    """Character convolutions, highway layers and a projection (Kim et al. 2015).

    Each token is encoded by itself: character embeddings, convolutions of several widths
    without padding, the maximum over positions, an activation, highway layers and a linear
    projection. The mask of the output is true if a token has any nonzero character id.
    Initial values follow bilm-tf's trainer.

    Args:
        projection_dim: The size of a token vector. If it equals the number of filters, the
            projection is left out.
        filters: A (width, count) pair for each character convolution.
        char_dim: The size of a character embedding.
        n_highway: The number of highway layers, 0 or more.
        activation: The activation of the convolutions, ``"relu"`` or ``"tanh"``.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, max_characters_per_token) from 0 to 261; 0
            means no character.

    Returns:
        Token vectors (batch, time, projection_dim) in the compute dtype. They are not
        zeros at padding.
    """

    def __init__(
        self,
        projection_dim: int,
        filters: Sequence[Sequence[int]],
        char_dim: int = 16,
        n_highway: int = 2,
        activation: str = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.projection_dim = check_positive_integer("projection_dim", projection_dim)
        self.filters = [
            tuple(check_integer("filters: a number", number, 1) for number in pair)
            for pair in filters
        ]
        self.char_dim = check_positive_integer("char_dim", char_dim)
        self.n_highway = check_integer("n_highway", n_highway, 0)
        self.activation = check_one_of("activation", activation, ("relu", "tanh"))
        self.n_filters = sum(count for _, count in self.filters)
        self.highways = [
            _Highway(name=f"highway_{i}", dtype=self.dtype_policy) for i in range(n_highway)
        ]
        self.projection: _Projection | None = None
        if self.n_filters != projection_dim:
            self.projection = _Projection(
                projection_dim,
                kernel_initializer=RandomNormal(stddev=self.n_filters**-0.5),
                name="projection",
                dtype=self.dtype_policy,
            )

    def build(self, input_shape: Shape) -> None:
        # For ids 1 to 261; id 0 has no trained row.
        self.char_embedding = self.add_weight(
            (N_CHARACTERS, self.char_dim), RandomUniform(-1.0, 1.0), name="char_embedding"
        )
        self.convolutions = []
        for i, (width, count) in enumerate(self.filters):
            shape, name = (width, self.char_dim, count), f"convolution_{i}"
            initializer = RandomUniform(-0.05, 0.05)
            if self.activation == "tanh":
                initializer = RandomNormal(stddev=(width * self.char_dim) ** -0.5)
            kernel = self.add_weight(shape, initializer, name=f"{name}_kernel")
            bias = self.add_weight((count,), "zeros", name=f"{name}_bias")
            self.convolutions.append((kernel, bias))
        for highway in self.highways:
            highway.build((None, self.n_filters))
        if self.projection is not None:
            self.projection.build((None, self.n_filters))

    def call(self, character_ids: Tensor) -> Tensor:
        batch, time, length = ops.shape(character_ids)
        ids = ops.reshape(character_ids, (-1, length))  # (tokens, length)
        # One more token, removed at the end: TensorFlow's convolution of zero tokens has a
        # wrong shape.
        ids = ops.pad(ids, [[0, 1], [0, 0]])  # (tokens + 1, length)
        embedding = ops.cast(self.char_embedding, self.compute_dtype)
        no_character = ops.zeros((1, self.char_dim), self.compute_dtype)
        table = ops.concatenate([no_character, embedding], axis=0)  # (262, char_dim)
        characters = ops.take(table, ids, axis=0)  # (tokens + 1, length, char_dim)
        x = ops.concatenate(
            [self._convolve(characters, *weights) for weights in self.convolutions], axis=-1
        )  # (tokens + 1, n_filters)
        for highway in self.highways:
            x = highway(x)  # (tokens + 1, n_filters)
        if self.projection is not None:
            x = self.projection(x)  # (tokens + 1, projection_dim)
        return ops.reshape(x[:-1], (batch, time, self.projection_dim))

    def _convolve(self, characters: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        windows = ops.conv(characters, kernel, padding="valid")  # (tokens, windows, count)
        # The maximum commutes with adding the bias.
        return keras.activations.get(self.activation)(ops.max(windows, axis=1) + bias)

    def compute_mask(self, character_ids: Tensor, previous_mask: Tensor = None) -> Tensor:
        return token_mask(character_ids)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.projection_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "projection_dim": self.projection_dim,
            "filters": [list(pair) for pair in self.filters],
            "char_dim": self.char_dim,
            "n_highway": self.n_highway,
            "activation": self.activation,
        }


class _Projection(keras.layers.Dense):
    """A Dense layer that ``Model.quantize`` leaves unchanged, like the others here."""

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"{self.name!r} is a part of ELMo, whose weights cannot be quantized."
        )


class _Highway(keras.Layer):
    """``g * relu(W_t x + b_t) + (1 - g) * x`` with ``g = sigmoid(W_c x + b_c)``."""

    def build(self, input_shape: Shape) -> None:
        n = input_shape[-1]
        kernel = RandomNormal(stddev=n**-0.5)
        self.carry_kernel = self.add_weight((n, n), kernel, name="carry_kernel")
        # A negative bias, so that a new highway mostly carries its input.
        self.carry_bias = self.add_weight((n,), Constant(-2.0), name="carry_bias")
        self.transform_kernel = self.add_weight(
            (n, n), kernel.clone(), name="transform_kernel"
        )
        self.transform_bias = self.add_weight((n,), "zeros", name="transform_bias")

    def call(self, x: Tensor) -> Tensor:
        gate = ops.sigmoid(ops.matmul(x, self.carry_kernel) + self.carry_bias)
        transformed = ops.relu(ops.matmul(x, self.transform_kernel) + self.transform_bias)
        return gate * transformed + (1 - gate) * x  # (tokens, size)
