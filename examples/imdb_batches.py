"""Batches of reviews for imdb_fine_tune.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, batch_to_character_ids
from keras_elmo.text.characters import (
    BEGIN_SENTENCE_ID,
    CHARACTER_PADDING_ID,
    END_SENTENCE_ID,
    boundary_character_ids,
)
from keras_elmo.text.reviews import Reviews

# Shapes vary in these steps only, so that few programs are compiled.
WORDS_STEP, TIME_STEP, CHARACTERS_STEP = 1024, 32, 32
PADDING, BEGIN, END, FIRST_WORD = range(4)


class Batches:
    """Reviews as the ids of their distinct words, and places among them.

    Args:
        elmo: The layer that they are for.
        reviews: Texts (n,), tokens between spaces, and labels (n,).
        batch_size: Reviews in a batch.
        word_dropout: With a seed, the share of the words to leave out.
        seed: For training: each epoch has another order, of reviews of about the same
            length and of batches. ``None`` sorts by length.
    """

    def __init__(
        self,
        elmo: ElmoEmbeddingLayer,
        reviews: Reviews,
        batch_size: int,
        word_dropout: float = 0.0,
        seed: int | None = None,
    ) -> None:
        texts, labels = reviews
        self.max_characters = elmo.max_characters_per_token
        assert elmo.config is not None  # it has stages of its own
        self.widest_filter = max(width for width, _ in elmo.config.filters)
        self.batch_size = batch_size
        self.rows = [text.split() for text in texts]
        self.labels = np.asarray(labels, np.float32)[:, None]  # (n, 1)
        self.word_dropout = word_dropout
        self.rng = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[Any]]]:
        """Makes the batches of an epoch, which has an order of its own."""
        lengths = np.array([len(row) for row in self.rows], np.float64)  # (n,)
        if self.rng is not None:
            lengths += self.rng.uniform(0, TIME_STEP / 2, len(lengths))
        order = np.argsort(lengths, kind="stable")  # (n,)
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        if self.rng is not None:
            self.rng.shuffle(batches)
        for chosen in batches:
            yield self._inputs([self.rows[i] for i in chosen]), self.labels[chosen]

    def dataset(self) -> tf.data.Dataset:
        """The batches as Keras takes them, made beside the training."""
        integers = tf.TensorSpec((None, None), tf.int32)
        signature = (
            {"words": integers, "places": integers},
            tf.TensorSpec((None, 1), tf.float32),
        )
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(self), output_signature=signature
        )
        return dataset.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(2)

    def _inputs(self, rows: list[list[str]]) -> dict[str, NDArray[Any]]:
        words: dict[str, int] = {}
        time = _rounded_up(max(map(len, rows), default=1), TIME_STEP)
        places = np.full((len(rows), time + 2), PADDING, np.int32)  # (batch, time + 2)
        places[:, 0], places[:, -1] = BEGIN, END
        for place, row in zip(places, rows, strict=True):
            place[1 : len(row) + 1] = [
                words.setdefault(word, len(words) + FIRST_WORD) for word in row
            ]
        if self.rng is not None and self.word_dropout:
            dropped = self.rng.random(places.shape) < self.word_dropout
            dropped[:, [0, -1]] = False
            places[dropped] = PADDING
        return {"words": self._character_ids(list(words)), "places": places}

    def _character_ids(self, words: list[str]) -> NDArray[np.int32]:
        """Ids (words, characters) of padding, boundaries and words, then padding again."""
        n_rows = _rounded_up(len(words) + FIRST_WORD, WORDS_STEP)
        ids = np.zeros((n_rows, self.max_characters), np.int32)  # (words, characters)
        ids[BEGIN] = boundary_character_ids(BEGIN_SENTENCE_ID, self.max_characters)
        ids[END] = boundary_character_ids(END_SENTENCE_ID, self.max_characters)
        if words:
            of_words = batch_to_character_ids([words], self.max_characters)[0]
            ids[FIRST_WORD : FIRST_WORD + len(words)] = of_words
        # Behind the longest word, one window of the widest filter sees padding alone.
        longest = int(np.sum((ids != 0) & (ids != CHARACTER_PADDING_ID), axis=1).max())
        return ids[:, : _rounded_up(longest + self.widest_filter, CHARACTERS_STEP)]


def _rounded_up(n: int, step: int) -> int:
    return -(-n // step) * step
