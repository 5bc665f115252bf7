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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
from arguments import blaming, integer_from
from imdb_batches import PADDING, Batches
from imdb_data import DataError, load_imdb
from imdb_sentiment import prepared, shuffled
from keras import layers, ops

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.layers import BidirectionalLM, ElmoBiLM
from keras_elmo.text.reviews import Reviews

VALIDATION_PART = 0.1
# The classifier reads features whose spread is that of so many reviews before training.
REVIEWS_TO_MEASURE = 2000
WARM_UP_PART = 0.1


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
