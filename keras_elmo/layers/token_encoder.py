"""Computes context-free token vectors from character ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from keras.initializers import Constant, RandomNormal, RandomUniform

from keras_elmo.layers.matmul import matmul
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

    Each token is encoded by itself: character embeddings, convolutions of several
    widths without padding, the maximum over positions, an activation; then highway
    layers. Models that know words have a table of their vectors, which precede what the
    highway layers return, or are all there is. A linear projection follows. The mask of
    its output is true where a token has any id but 0. Initial values follow bilm-tf's
    trainer.

    Args:
        projection_dim: Size of a token vector. If it equals the number of filters and
            ``word_dim`` together there is no projection.
        filters: A (width, count) pair for each character convolution; empty for words
            alone.
        char_dim: Size of a character embedding.
        n_highway: Number of highway layers, 0 or more; none without filters.
        activation: Activation of the convolutions, ``"relu"`` or ``"tanh"``.
        n_characters: Number of character embeddings, 261 for bytes.
        n_words: Number of word embeddings; 0 for a model of characters alone.
        word_dim: Size of a word embedding; 0 without words.
        **kwargs: Arguments of every Keras layer (``name``, ``dtype``, ``trainable``).

    Call arguments:
        character_ids: Integers (batch, time, length): with words, the word's id from 0 to
            ``n_words``; then, with filters, those of the characters, from 0 to
            ``n_characters``. 0 is none.

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
        n_characters: int = N_CHARACTERS,
        n_words: int = 0,
        word_dim: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.projection_dim = check_positive_integer("projection_dim", projection_dim)
        self.filters = [
            tuple(check_integer("filters: a number", number, 1) for number in pair)
            for pair in filters
        ]
        self.char_dim = check_integer("char_dim", char_dim, int(bool(self.filters)))
        self.n_highway = check_integer("n_highway", n_highway, 0)
        self.activation = check_one_of("activation", activation, ("relu", "tanh"))
        self.n_characters = check_integer(
            "n_characters", n_characters, int(bool(self.filters))
        )
        self.n_words = check_integer("n_words", n_words, 0)
        self.word_dim = check_integer("word_dim", word_dim, int(self.n_words > 0))
        if self.word_dim and not self.n_words:
            raise ValueError(f"word_dim must be 0 without n_words; got {word_dim}.")
        if not (self.filters or self.n_words):
            raise ValueError(
                "filters and n_words: both are empty. Pass filters for characters, n_words "
                "for words, or both."
            )
        self.n_filters = sum(count for _, count in self.filters)
        self.n_features = self.word_dim + self.n_filters
        self.highways = [
            _Highway(name=f"highway_{i}", dtype=self.dtype_policy)
            for i in range(n_highway if self.filters else 0)
        ]
        self.projection: _Projection | None = None
        if self.n_features != projection_dim:
            self.projection = _Projection(
                projection_dim,
                kernel_initializer=RandomNormal(stddev=self.n_features**-0.5),
                name="projection",
                dtype=self.dtype_policy,
            )

    def build(self, input_shape: Shape) -> None:
        # Id 0 has no row to train, here and below.
        if self.n_words:
            # Cast after a few rows are taken, not as a whole.
            self.word_embedding = self.add_weight(
                (self.n_words, self.word_dim),
                RandomUniform(-1.0, 1.0),
                name="word_embedding",
                autocast=False,
            )
        if self.filters:
            self.char_embedding = self.add_weight(
                (self.n_characters, self.char_dim),
                RandomUniform(-1.0, 1.0),
                name="char_embedding",
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
            self.projection.build((None, self.n_features))

    def call(self, character_ids: Tensor) -> Tensor:
        batch, time, length = ops.shape(character_ids)
        ids = ops.reshape(character_ids, (-1, length))  # (tokens, length)
        # One more token, removed at the end: Keras computes no maximum of zero tokens.
        ids = ops.pad(ids, [[0, 1], [0, 0]])  # (tokens + 1, length)
        features = []
        if self.n_words:
            features.append(self._of_words(ids[:, 0]))  # (tokens + 1, word_dim)
            ids = ids[:, 1:]
        if self.filters:
            features.append(self._of_characters(ids))  # (tokens + 1, n_filters)
        x = features[0] if len(features) == 1 else ops.concatenate(features, axis=-1)
        if self.projection is not None:
            x = self.projection(x)  # (tokens + 1, projection_dim)
        return ops.reshape(x[:-1], (batch, time, self.projection_dim))

    def _of_words(self, ids: Tensor) -> Tensor:
        """The vectors (n, word_dim) of words' ids (n,), zeros for 0."""
        vectors = ops.take(self.word_embedding, ops.maximum(ids - 1, 0), axis=0)
        vectors = ops.cast(vectors, self.compute_dtype)  # (n, word_dim)
        return ops.where((ids > 0)[:, None], vectors, 0)

    def _of_characters(self, ids: Tensor) -> Tensor:
        """What the highway layers make (n, n_filters) of characters' ids (n, length)."""
        embedding = ops.cast(self.char_embedding, self.compute_dtype)
        no_character = ops.zeros((1, self.char_dim), self.compute_dtype)
        table = ops.concatenate([no_character, embedding], axis=0)
        characters = ops.take(table, ids, axis=0)  # (n, length, char_dim)
        x = ops.concatenate(
            [self._convolve(characters, *weights) for weights in self.convolutions], axis=-1
        )  # (n, n_filters)
        for highway in self.highways:
            x = highway(x)  # (n, n_filters)
        return x

    def _convolve(self, characters: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        # Neither a convolution nor a product of three axes: their gradients take XLA ten
        # times and twice as long on a CPU.
        width, char_dim, count = kernel.shape
        n_windows = ops.shape(characters)[1] - width + 1
        shifted = [characters[:, i : i + n_windows] for i in range(width)]
        read = ops.concatenate(shifted, axis=-1)  # (tokens, windows, width * char_dim)
        read = ops.reshape(read, (-1, width * char_dim))  # (tokens * windows, ...)
        windows = matmul(read, ops.reshape(kernel, (width * char_dim, count)))
        windows = ops.reshape(windows, (-1, n_windows, count))  # (tokens, windows, count)
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
            "n_characters": self.n_characters,
            "n_words": self.n_words,
            "word_dim": self.word_dim,
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
        gate = ops.sigmoid(
            matmul(x, ops.convert_to_tensor(self.carry_kernel)) + self.carry_bias
        )
        transformed = ops.relu(
            matmul(x, ops.convert_to_tensor(self.transform_kernel)) + self.transform_bias
        )
        return gate * transformed + (1 - gate) * x  # (tokens, size)
