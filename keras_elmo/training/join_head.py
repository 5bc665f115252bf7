"""Joins a layer and a head that was trained on its features."""

from __future__ import annotations

import keras

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.layers.inputs import declared


def join_head(layer: ElmoEmbeddingLayer, head: keras.Model) -> keras.Model:
    """Joins a layer and a head into a model that takes what the layer takes.

    It predicts what the head predicts from the layer's features. It shares the weights of
    the layer and the head.

    Args:
        layer: The layer that computed the features, with ``output_mode="pooled_layers"``
            or ``"layers"``.
        head: A model on features. For token-level features its first layer should be a
            :class:`~keras_elmo.training.MaskPadding`, which finds the padding.

    Returns:
        A model from the layer's inputs, strings (batch,) by default, to the outputs of the
        head, not compiled. You can save and load it like any other model.

    Raises:
        ValueError: The head does not fit the layer's features.
    """
    shape, dtype = declared(layer.input_mode, layer.character_ids.token_ids.length)
    inputs = keras.Input(shape, dtype=dtype)
    # The copy has no mask: as with stored features, the head finds the padding itself.
    features = keras.ops.copy(layer(inputs))  # (batch, [time,] n_layers + 1, D)
    return keras.Model(inputs, head(features))
