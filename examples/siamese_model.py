"""Two texts through the same layers, trained so that halves of a text meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from text_halves import Pair
from text_vectors import discriminant

from keras_elmo import ScalarMix

Loss = Callable[[Any, Any], Any]


def make_head(training: Pair, size: int, dropout: float = 0.5) -> keras.Model:
    """Makes the part that is trained: a mix of the layers and a projection.

    Args:
        training: The pooled layers of first and second halves, (n, n_layers + 1, D) each.
            They tell the mean and the scale of each number, and the projection to start
            from, by :func:`text_vectors.discriminant`. From random numbers, training
            ends at a worse one.
        size: The length of the vectors that come out; at most D.
        dropout: The share of the mix that is left out in training.

    Returns:
        A model from pooled layers (batch, n_layers + 1, D) to vectors (batch, size) of
        length 1.
    """
    normalization = layers.Normalization(axis=(1, 2))
    normalization.adapt(np.concatenate(training))
    inputs = keras.Input(training[0].shape[1:])  # (batch, n_layers + 1, D)
    mix = keras.Model(inputs, ScalarMix()(normalization(inputs)))
    mixed = [ops.convert_to_numpy(mix(x)) for x in training]  # (n, D) each
    kernel = discriminant(mixed[0], mixed[1], size)  # (D, size)
    projection = layers.Dense(kernel.shape[1], use_bias=False)
    x = projection(layers.Dropout(dropout)(mix.output))  # (batch, size)
    projection.set_weights([kernel])
    return keras.Model(inputs, layers.UnitNormalization()(x), name="head")


def siamese(encoder: keras.Model) -> keras.Model:
    """Two inputs, one encoder.

    Args:
        encoder: From strings (batch,) or features (batch, ...) to vectors (batch, size).
            It is called twice; there is one set of weights.

    Returns:
        A model from two such inputs, ``"first"`` and ``"second"``, to pairs of vectors
        (batch, 2, size).
    """
    inputs = _two_inputs(encoder)
    vectors = [encoder(x) for x in inputs]  # (batch, size) each
    return keras.Model(inputs, ops.stack(vectors, axis=1))


def similarity_model(encoder: keras.Model) -> keras.Model:
    """The same for use: from two inputs to the cosine of their vectors, (batch, 1)."""
    inputs = _two_inputs(encoder)
    vectors = [encoder(x) for x in inputs]  # (batch, size) each, of length 1
    return keras.Model(inputs, layers.Dot(axes=1)(vectors))


def _two_inputs(encoder: keras.Model) -> list[Any]:
    (tensor,) = encoder.inputs
    shape, dtype = tensor.shape[1:], tensor.dtype
    return [keras.Input(shape, dtype=dtype, name=name) for name in ("first", "second")]


def contrastive_loss(temperature: float) -> Loss:
    """Each half must find the other half of its review among those of the batch.

    Args:
        temperature: What cosines are divided by before the softmax. The lower, the more
            do the most similar wrong ones count.

    Returns:
        A loss for :func:`siamese`, of the numbers of the reviews (batch,) and pairs of
        vectors (batch, 2, size) of length 1: the mean of both cross-entropies, (batch,),
        that of the right second halves for the first ones, and the other way round.
    """

    def loss(reviews: Any, pairs: Any) -> Any:
        first, second = pairs[:, 0], pairs[:, 1]  # (batch, size)
        logits = ops.matmul(first, ops.transpose(second)) / temperature  # (batch, batch)
        reviews = ops.reshape(reviews, (-1,))
        same = ops.equal(reviews[:, None], reviews[None])  # (batch, batch)
        # A review that is twice in the batch has two right answers.
        right = ops.cast(same, logits.dtype)
        right = right / ops.sum(right, axis=-1, keepdims=True)  # (batch, batch)
        forward = ops.categorical_crossentropy(right, logits, from_logits=True)
        backward = ops.categorical_crossentropy(
            right, ops.transpose(logits), from_logits=True
        )
        return (forward + backward) / 2  # (batch,)

    return loss
