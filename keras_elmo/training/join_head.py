"""A layer and a head that was trained on its features, in one model."""

from __future__ import annotations

import keras

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer


def join_head(layer: ElmoEmbeddingLayer, head: keras.Model) -> keras.Model:
    """Joins a layer and a head to a model that takes strings.

    It predicts what the head predicts from the layer's features. The weights are those of
    the layer and of the head, not copies.

    Args:
        layer: The layer that computed the features, with ``output_mode="pooled_layers"``
            or ``"layers"``.
        head: A model that takes features. On token-level features it finds the padding
            by itself, with a :class:`~keras_elmo.training.MaskPadding` as its first layer.

    Returns:
        A model from strings (batch,) to the outputs of the head. It is not compiled. It
        saves and loads like any other.

    Raises:
        ValueError: The head takes other features than the layer computes.
    """
    text = keras.Input((), dtype="string")
    # The copy has no mask: the head has none for stored features either, and finds its own.
    features = keras.ops.copy(layer(text))  # (batch, [time,] n_layers + 1, D)
    return keras.Model(text, head(features))
