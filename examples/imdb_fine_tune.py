"""All of ELMo trained on the sentiment of IMDB reviews.

Runs on the TensorFlow and on the JAX backend, which is the faster one here: the model
takes numbers, not strings, so that XLA can compile it as a whole::

    KERAS_BACKEND=jax python examples/imdb_fine_tune.py aclImdb_v1.tar.gz --output tuned

Beside the accuracies it writes the trained ELMo as a directory that
``ElmoEmbeddingLayer`` takes as its source.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from arguments import blaming
from imdb_arguments import integer_from
from imdb_data import DataError, load_imdb
from imdb_sentiment import prepared, shuffled
from keras import layers, ops
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, SourceError, batch_to_character_ids
from keras_elmo.characters import (
    BEGIN_SENTENCE_ID,
    CHARACTER_PADDING_ID,
    END_SENTENCE_ID,
    boundary_character_ids,
)
from keras_elmo.layers import BidirectionalLM, ElmoBiLM
from keras_elmo.reviews import Reviews

VALIDATION_PART = 0.1
# The classifier reads features whose spread is that of so many reviews before training.
REVIEWS_TO_MEASURE = 2000
WARM_UP_PART = 0.1
# Shapes vary in these steps only, so that few programs are compiled.
WORDS_STEP, TIME_STEP, CHARACTERS_STEP = 1024, 32, 32
PADDING, BEGIN, END, FIRST_WORD = range(4)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains and tests.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    keras.utils.set_random_seed(args.seed)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --output: cannot make the directory: {error}")
    with blaming(parser, "--source", SourceError):
        elmo = ElmoEmbeddingLayer(
            args.source, output_mode="layers", input_mode="character_ids", fine_tune="all"
        )
    with blaming(parser, "DATA", DataError, OSError):
        parts = load_imdb(args.data)
    reviews, test = (
        prepared(shuffled(part, args.limit, args.seed), args.words) for part in parts
    )
    n_validation = max(1, round(VALIDATION_PART * len(reviews[0])))
    validation, training = (
        (reviews[0][part], reviews[1][part])
        for part in (slice(None, n_validation), slice(n_validation, None))
    )

    def make(reviews: Reviews, **kwargs: Any) -> Batches:
        return Batches(elmo, reviews, args.batch_size, **kwargs)

    model = FineTuned(elmo, args.dropout)
    model.measure(
        make((training[0][:REVIEWS_TO_MEASURE], training[1][:REVIEWS_TO_MEASURE]))
    )
    batches = make(training, word_dropout=args.word_dropout, seed=args.seed)
    model.compile(
        optimizer(args.learning_rate, args.epochs * len(batches)),
        "binary_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        batches.dataset(),
        validation_data=make(validation).dataset(),
        epochs=args.epochs,
        shuffle=False,  # the data set shuffles by itself
    )
    result = model.evaluate(make(test).dataset(), return_dict=True)
    print(f"Test accuracy: {result['accuracy']:.4f} on {len(test[0]):,} reviews")
    elmo.save_hdf5(args.output)
    numbers = {
        **{name: list(map(float, values)) for name, values in history.history.items()},
        "test_accuracy": float(result["accuracy"]),
    }
    text = json.dumps(numbers, indent=2) + "\n"
    (args.output / "history.json").write_text(text, encoding="utf-8")
    print(f"Wrote the trained ELMo and history.json to {args.output}")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Fine-tune all of an ELMo on the sentiment of IMDB reviews.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB)",
    )
    add("--source", default="mini", help="the ELMo model to begin with")
    add("--words", type=integer_from(1), default=150, help="words to keep of a review")
    add("--limit", type=integer_from(2), metavar="N", help="at most N reviews in each half")
    add("--epochs", type=integer_from(1), default=3, help="passes over the reviews")
    add("--batch-size", type=integer_from(1), default=64, help="reviews in a batch")
    add("--learning-rate", type=float, default=1.5e-3, help="Adam's highest rate")
    add("--dropout", type=float, default=0.3, help="share of the features to drop")
    add("--word-dropout", type=float, default=0.05, help="share of the words to leave out")
    add("--seed", type=integer_from(0), default=0, help="makes a run repeatable")
    add(
        "--output",
        type=Path,
        default=Path("imdb_fine_tuned"),
        metavar="DIR",
        help="where the trained ELMo goes",
    )
    return parser


def optimizer(highest_rate: float, n_steps: int) -> keras.optimizers.Optimizer:
    """Adam with a rate that rises for a tenth of the steps and then falls to zero."""
    warm_up = max(1, round(WARM_UP_PART * n_steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, n_steps - warm_up), warmup_target=highest_rate, warmup_steps=warm_up
    )
    return keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0)


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


class FineTuned(keras.Model):
    """The mean and the maximum over the tokens of all layers, and a linear classifier.

    Args:
        elmo: The layer whose stages to train.
        dropout: Share of the pooled features to drop in training. A third of it is the
            share of what each LSTM layer reads.
    """

    def __init__(self, elmo: ElmoEmbeddingLayer, dropout: float) -> None:
        super().__init__()
        assert isinstance(elmo.bilm, ElmoBiLM)
        assert isinstance(elmo.bilm.lstms, BidirectionalLM)
        elmo.build((None, None, elmo.max_characters_per_token))
        self.elmo = elmo
        self.token_encoder, self.lstms = elmo.bilm.token_encoder, elmo.bilm.lstms
        self.lstm_dropout = layers.Dropout(dropout / 3)
        self.normalization = layers.Normalization()
        self.dropout = layers.Dropout(dropout)
        self.classifier = layers.Dense(1, activation="sigmoid", kernel_initializer="zeros")

    def measure(self, batches: Batches) -> None:
        """Sets the features' means and spreads to those of some reviews."""
        pooled = PooledFeatures(self).predict(batches.dataset())  # (n, features)
        self.normalization.adapt(pooled)
        self.classifier.build(pooled.shape)
        self.built = True

    def pooled(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """The features (batch, 2 * (projection_dim + n_layers * 2 * projection_dim))."""
        places = inputs["places"]
        vectors = self.token_encoder(inputs["words"][None])[0]  # (words, projection_dim)
        mask = places > PADDING  # (batch, time + 2)
        tokens = ops.take(vectors, places, axis=0)  # (batch, time + 2, projection_dim)
        outputs, _ = self.lstms.run(
            (tokens, tokens),
            (mask, mask),
            dropout=lambda x: self.lstm_dropout(x, training=training),
        )
        # Layer 0 is the token vector twice; once is enough.
        features = ops.concatenate([tokens, *outputs[1:]], axis=-1)[:, 1:-1]
        mask = mask[:, 1:-1, None]  # (batch, time, 1)
        n_tokens = ops.maximum(ops.sum(ops.cast(mask, features.dtype), axis=1), 1)
        mean = ops.sum(ops.where(mask, features, 0), axis=1) / n_tokens
        highest = ops.max(ops.where(mask, features, -1e4), axis=1)  # (batch, features)
        return ops.concatenate([mean, ops.maximum(highest, -1e2)], axis=-1)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """The probability of "positive", (batch, 1)."""
        features = self.normalization(self.pooled(inputs, training))
        return self.classifier(self.dropout(features, training=training))


class PooledFeatures(keras.Model):
    """A fine-tuned model without its classifier, for ``predict``, which compiles."""

    def __init__(self, model: FineTuned) -> None:
        super().__init__()
        self.pooled = model.pooled

    def call(self, inputs: dict[str, Any]) -> Any:
        """The features (batch, features)."""
        return self.pooled(inputs)


if __name__ == "__main__":
    raise SystemExit(main())
