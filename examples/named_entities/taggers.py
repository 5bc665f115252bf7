"""Two taggers that differ only in the source of their token vectors."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_elmo import ElmoEmbeddingLayer, ScalarMix
from keras_elmo.training import MaskPadding

LSTM_UNITS = 128  # in each direction
DROPOUT = 0.5
UNKNOWN = 1  # the id of words that are not in the vocabulary; 0 is padding


def elmo_tagger(size: tuple[int, int], n_tags: int) -> keras.Model:
    """From stored layers (batch, time, n_layers + 1, D) to the probabilities of tags."""
    inputs = keras.Input((None, *size))
    vectors = ScalarMix()(MaskPadding()(inputs))  # (batch, time, D)
    return keras.Model(inputs, tag_probabilities(vectors, n_tags))


def word_tagger(n_words: int, size: int, n_tags: int) -> keras.Model:
    """The same on word ids (batch, time), with randomly initialized vectors."""
    inputs = keras.Input((None,), dtype="int32")
    embed = layers.Embedding(n_words + UNKNOWN + 1, size, mask_zero=True)
    return keras.Model(inputs, tag_probabilities(embed(inputs), n_tags))


def tag_probabilities(vectors: Any, n_tags: int) -> Any:
    x = layers.Dropout(DROPOUT)(vectors)  # (batch, time, D)
    x = layers.Bidirectional(layers.LSTM(LSTM_UNITS, return_sequences=True))(x)
    x = layers.Dropout(DROPOUT)(x)  # (batch, time, 2 * LSTM_UNITS)
    return layers.Dense(n_tags, activation="softmax")(x)  # (batch, time, n_tags)


def token_model(source: str, tagger: keras.Model) -> keras.Model:
    """ELMo and the tagger in one model, from tokens (batch, time), padded with ""."""
    layer = ElmoEmbeddingLayer(source, "layers", input_mode="tokens", trainable=False)
    tokens = keras.Input((None,), dtype="string")
    # The copy has no mask: the tagger recognizes padding by its zeros, as in stored layers.
    return keras.Model(tokens, tagger(keras.ops.copy(layer(tokens))))
