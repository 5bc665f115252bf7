"""Taggers: one on ELMo's features, one on a learned embedding, and what both share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from named_entities_data import OUTSIDE, Sentence
from named_entities_scores import score

from keras_elmo import (
    ElmoEmbeddingLayer,
    MaskPadding,
    ScalarMix,
    compute_features,
    feature_dataset,
)

LSTM_UNITS = 128  # in each direction
DROPOUT = 0.5
LEARNING_RATE = 2e-3
BATCH_SIZE = 32
UNKNOWN = 1  # the id of words that are not in the vocabulary; 0 is padding
LEAST_COUNT = 2  # of words in the vocabulary; the others train what is unknown


def tag_names(sentences: Sequence[Sentence]) -> list[str]:
    """The tags that occur, ``O`` first; the place of a tag is its number."""
    names = {tag for sentence in sentences for tag in sentence.tags}
    return [OUTSIDE, *sorted(names - {OUTSIDE})]


def make_vocabulary(sentences: Sequence[Sentence]) -> dict[str, int]:
    """Numbers the words that occur at least twice, the most frequent one first."""
    counts = Counter(token for sentence in sentences for token in sentence.tokens)
    words = [word for word, count in counts.most_common() if count >= LEAST_COUNT]
    return {word: number for number, word in enumerate(words, UNKNOWN + 1)}


def elmo_features(
    layer: ElmoEmbeddingLayer, sentences: Sequence[Sentence], path: Path
) -> Sequence[Any]:
    """Computes the layers of all tokens once, into a file that is opened the next time.

    Args:
        layer: With all layers as outputs.
        sentences: Their tokens.
        path: The file; in half precision, which leaves three digits.

    Returns:
        Features (time, n_layers + 1, D) for each sentence.
    """
    texts = [" ".join(sentence.tokens) for sentence in sentences]
    features = compute_features(layer, texts, path, dtype="float16")
    return features


def word_ids(sentences: Sequence[Sentence], vocabulary: Mapping[str, int]) -> Sequence[Any]:
    """Numbers the words, in the form in which ELMo's features are.

    Thus both taggers get their sentences from the same data set, in the same order.

    Args:
        sentences: Their tokens.
        vocabulary: The numbers of words.

    Returns:
        Integers (time,) for each sentence.
    """
    return [
        np.array([vocabulary.get(word, UNKNOWN) for word in sentence.tokens], np.int32)
        for sentence in sentences
    ]


def elmo_tagger(features: Sequence[Any], n_tags: int) -> keras.Model:
    """Builds a tagger on features: mask, mix, BiLSTM, softmax.

    Args:
        features: Those it is for.
        n_tags: How many tags there are.

    Returns:
        A model from (batch, time, n_layers + 1, D) to probabilities (batch, time, n_tags).
    """
    inputs = keras.Input((None, *features[0].shape[1:]), name="features")
    vectors = ScalarMix()(MaskPadding()(inputs))  # (batch, time, D)
    return keras.Model(inputs, _tag_probabilities(vectors, n_tags))


def word_tagger(vocabulary: Mapping[str, int], dim: int, n_tags: int) -> keras.Model:
    """Builds the same tagger on an embedding that begins at random.

    Args:
        vocabulary: The numbers of words.
        dim: The length of a word's vector.
        n_tags: How many tags there are.

    Returns:
        A model from ids (batch, time), 0 for padding, to probabilities (batch, time,
        n_tags).
    """
    inputs = keras.Input((None,), dtype="int32", name="words")
    embed = layers.Embedding(len(vocabulary) + UNKNOWN + 1, dim, mask_zero=True)
    return keras.Model(inputs, _tag_probabilities(embed(inputs), n_tags))


def _tag_probabilities(vectors: Any, n_tags: int) -> Any:
    x = layers.Dropout(DROPOUT)(vectors)  # (batch, time, D)
    lstm = layers.LSTM(LSTM_UNITS, return_sequences=True)
    x = layers.Bidirectional(lstm)(x)  # (batch, time, 2 * LSTM_UNITS)
    x = layers.Dropout(DROPOUT)(x)
    return layers.Dense(n_tags, activation="softmax")(x)  # (batch, time, n_tags)


def token_model(source: str, tagger: keras.Model) -> keras.Model:
    """Joins ELMo and the tagger that was trained on its features.

    Args:
        source: The ELMo model.
        tagger: As :func:`elmo_tagger` builds it.

    Returns:
        A model from tokens (batch, time), padded with "", to probabilities (batch, time,
        n_tags). What it says of padding means nothing.
    """
    layer = ElmoEmbeddingLayer(source, "layers", input_mode="tokens", trainable=False)
    tokens = keras.Input((None,), dtype="string", name="tokens")
    # The copy has no mask: the tagger has none for stored features either, and finds it in
    # the zeros, to which the layer sets what it masks.
    features = keras.ops.copy(layer(tokens))  # (batch, time, n_layers + 1, D)
    return keras.Model(tokens, tagger(features))


def train(
    tagger: keras.Model,
    training: tuple[Sequence[Any], Sequence[Sentence]],
    dev: tuple[Sequence[Any], Sequence[Sentence]],
    tags: Sequence[str],
    epochs: int,
    seed: int,
) -> None:
    """Trains a tagger, and leaves it as it was after its best epoch on ``dev``.

    Args:
        tagger: The model.
        training: Features and sentences to train on.
        dev: Features and sentences that choose the epoch, by the F1 of entities.
        tags: The names of the tags.
        epochs: How often to see each sentence.
        seed: Of the order of the sentences.
    """
    features, sentences = training
    number_of = {tag: number for number, tag in enumerate(tags)}
    dataset = feature_dataset(
        features,
        token_labels=[[number_of[tag] for tag in s.tags] for s in sentences],
        batch_size=BATCH_SIZE,
        group_by_length=True,
        shuffle=True,
        seed=seed,
    )
    # Keras leaves the masked steps, which are padding, out of the loss.
    tagger.compile(keras.optimizers.Adam(LEARNING_RATE), "sparse_categorical_crossentropy")
    best = BestEpoch(*dev, tags)
    # The data set shuffles by itself.
    tagger.fit(dataset, epochs=epochs, shuffle=False, verbose=0, callbacks=[best])


def predict(
    tagger: keras.Model, features: Sequence[Any], tags: Sequence[str]
) -> list[list[str]]:
    """Tags sentences.

    Args:
        tagger: The trained model.
        features: Of the sentences.
        tags: The names of the tags.

    Returns:
        The most probable tag of each token.
    """
    numbers: list[Any] = []
    for batch in feature_dataset(features, batch_size=4 * BATCH_SIZE):
        probabilities = tagger.predict_on_batch(batch)  # (batch, time, n_tags)
        numbers.extend(probabilities.argmax(axis=-1))  # (time,) each
    return [
        [tags[number] for number in row[: len(one)]]
        for row, one in zip(numbers, features, strict=True)
    ]


class BestEpoch(keras.callbacks.Callback):
    """Scores a tagger after each epoch, prints that, and ends with the best weights.

    Args:
        features: Of the sentences to score it on.
        sentences: With the right tags.
        tags: The names of the tags.
    """

    def __init__(
        self, features: Sequence[Any], sentences: Sequence[Sentence], tags: Sequence[str]
    ) -> None:
        super().__init__()
        self.features = features
        self.sentences = sentences
        self.tags = tags
        self.best = -1.0
        self.weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Prints the loss and the F1 of entities, and keeps the best weights so far."""
        f1 = score(self.sentences, predict(self.model, self.features, self.tags)).f1
        loss = (logs or {})["loss"]
        print(f"Epoch {epoch + 1}: loss {loss:.4f}, F1 on dev {f1:.4f}", flush=True)
        if f1 >= self.best:
            self.best = f1
            self.weights = self.model.get_weights()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Goes back to the best epoch."""
        self.model.set_weights(self.weights)
