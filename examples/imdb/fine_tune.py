"""Fine-tunes all of ELMo on the sentiment of IMDB reviews.

ELMo is trained together with a linear classifier on the mean and the maximum over the
tokens of all layers. It is tested on the first words of each review. In training, each
epoch takes another piece of a review, and leaves out a fifth of its words. The trained ELMo
is a source for ``ElmoEmbeddingLayer``::

    python examples/imdb/fine_tune.py aclImdb_v1.tar.gz --output tuned

With ``--self-training-epochs``, this model labels the reviews that have no label, by their
first and last words, and another one learns from all reviews (Yarowsky 1995, "Unsupervised
Word Sense Disambiguation Rivaling Supervised Methods").
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, text_dataset
from keras_elmo.text.imdb import load_imdb, read_imdb

# The classifier's inputs are normalized by the spread of this many reviews' features.
REVIEWS_TO_MEASURE = 2000


def main() -> None:
    args = make_parser().parse_args()
    keras.utils.set_random_seed(args.seed)
    halves = []
    for texts, labels in load_imdb(args.data):
        order = np.random.default_rng(args.seed).permutation(len(texts))[: args.limit]
        halves.append((texts[order], labels[order]))
    (reviews, labels), (test_reviews, test_labels) = halves
    n = max(1, round(len(reviews) / 10))  # to validate with
    first = slice(args.words)
    settings = {"batch_size": args.batch_size, "group_by_length": True, "split": "words"}
    validation = text_dataset(cut(reviews[:n], first), labels[:n], **settings)
    reviews, labels = reviews[n:], labels[n:]
    elmo, model = make_model(args, reviews)
    args.output.mkdir(parents=True, exist_ok=True)  # before hours of training
    history = {"labeled": fit(model, reviews, labels, validation, args.epochs, args)}
    if args.self_training_epochs:
        unlabeled = read_imdb(args.data, ["train/unsup"])["train/unsup"][: args.limit]
        unlabeled.sort(key=lambda text: len(text.split()))  # less padding in a batch
        reviews = np.append(reviews, np.array(unlabeled, dtype=object))
        labels = np.append(labels, probabilities_of(unlabeled, model, args))
        print(f"Training on {len(unlabeled):,} more reviews, which the first model labeled")
        elmo, model = make_model(args, reviews)
        history["all"] = fit(
            model, reviews, labels, validation, args.self_training_epochs, args
        )
    test = text_dataset(cut(test_reviews, first), test_labels, **settings)
    test_accuracy = model.evaluate(test, return_dict=True)["accuracy"]
    print(f"Test accuracy: {test_accuracy:.4f} on {len(test_reviews):,} reviews")
    elmo.save_hdf5(args.output)
    numbers = json.dumps({**history, "test_accuracy": test_accuracy}, indent=2)
    (args.output / "history.json").write_text(numbers + "\n", encoding="utf-8")
    print(f"Wrote the trained ELMo and history.json to {args.output}")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Fine-tune all of an ELMo on the sentiment of IMDB reviews.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("--source", default="mini", help="the ELMo model to start from")
    add("--words", type=int, default=150, help="words to read of a review")
    add("--limit", type=int, metavar="N", help="at most N reviews of each half")
    add("--epochs", type=int, default=3)
    add(
        "--self-training-epochs",
        type=int,
        default=0,
        help="epochs of another model on all reviews, as the first one labels them",
    )
    add("--batch-size", type=int, default=64)
    add("--learning-rate", type=float, default=5e-4, help="the highest learning rate")
    add("--dropout", type=float, default=0.5, help="dropout rate of the features")
    add("--word-dropout", type=float, default=0.2, help="share of words left out")
    add("--seed", type=int, default=0, help="equal seeds give equal runs")
    add("--output", type=Path, default=Path("imdb_fine_tuned"), metavar="DIR")
    return parser


def make_model(
    args: argparse.Namespace, reviews: NDArray[np.object_]
) -> tuple[ElmoEmbeddingLayer, keras.Model]:
    """ELMo, and with the classifier, normalized by the features of some reviews."""
    has_strings = keras.backend.backend() == "tensorflow"
    elmo = ElmoEmbeddingLayer(
        args.source,
        output_mode="layers",
        input_mode="sentences" if has_strings else "character_ids",
        fine_tune="all",
    )
    shape = () if has_strings else (None, elmo.max_characters_per_token)
    review = keras.Input(shape, dtype="string" if has_strings else "int32")
    pooled = MeanAndMaximum()(elmo(review))  # (batch, features)
    sample = pieces(reviews[:REVIEWS_TO_MEASURE], args, np.random.default_rng(args.seed))
    normalization = keras.layers.Normalization()
    normalization.adapt(
        keras.Model(review, pooled).predict(
            text_dataset(
                sample, batch_size=args.batch_size, group_by_length=True, split="words"
            )
        )
    )
    x = keras.layers.Dropout(args.dropout)(normalization(pooled))
    x = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros")(x)
    return elmo, keras.Model(review, x)


def fit(
    model: keras.Model,
    reviews: NDArray[np.object_],
    labels: Any,
    validation: Any,
    epochs: int,
    args: argparse.Namespace,
) -> dict[str, list[float]]:
    """Trains; the learning rate rises for a tenth of the steps, then falls to zero."""
    n_steps = epochs * math.ceil(len(reviews) / args.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, n_steps - n_steps // 10),
        warmup_target=args.learning_rate,
        warmup_steps=max(1, n_steps // 10),
    )
    model.compile(
        keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0),
        "binary_crossentropy",
        metrics=[accuracy],
    )
    random = np.random.default_rng(args.seed)
    history: dict[str, list[float]] = {}
    for epoch in range(epochs):
        training = text_dataset(
            pieces(reviews, args, random),
            labels,
            batch_size=args.batch_size,
            group_by_length=True,
            split="words",
            shuffle=True,
            seed=args.seed + epoch,
        )
        fitted = model.fit(
            training,
            validation_data=validation,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,  # the dataset shuffles itself
        )
        for name, values in fitted.history.items():
            history.setdefault(name, []).extend(values)
    return history


def probabilities_of(
    reviews: Sequence[str], model: keras.Model, args: argparse.Namespace
) -> NDArray[np.float32]:
    """How likely reviews are positive (n,): the mean for their first and last words."""
    found = [
        model.predict(
            text_dataset(cut(reviews, part), batch_size=args.batch_size, split="words")
        )
        for part in (slice(args.words), slice(-args.words, None))
    ]
    return np.mean(found, axis=0)[:, 0]


def cut(texts: Iterable[str], part: slice) -> list[str]:
    """A part of the words of each text."""
    return [" ".join(text.split()[part]) for text in texts]


def accuracy(labels: Any, probabilities: Any) -> Any:
    """The share of reviews on the right side; a label may be a probability too."""
    labels = ops.reshape(labels, ops.shape(probabilities))
    right = ops.equal(labels >= 0.5, probabilities >= 0.5)  # (batch, 1)
    return ops.cast(right, "float32")


def pieces(
    reviews: NDArray[np.object_], args: argparse.Namespace, random: np.random.Generator
) -> list[str]:
    """A piece of each review, without some of its words."""
    found = []
    for words in map(str.split, reviews):
        start = random.integers(max(1, len(words) - args.words + 1))
        piece = words[start : start + args.words]
        # So that no single word decides.
        found.append(" ".join(w for w in piece if random.random() >= args.word_dropout))
    return found


class MeanAndMaximum(keras.layers.Layer):
    """The mean and the maximum over the tokens of all layers.

    Takes ``"layers"`` (batch, time, n_layers + 1, D) with their mask, and returns
    (batch, 2 * (n_layers + 1) * D).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True  # it takes a mask, and passes none on

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None

    def call(self, layers: Any, mask: Any = None) -> Any:
        # The maximum of a review without tokens is zeros.
        batch, time = ops.shape(layers)[:2]
        x = ops.reshape(layers, (batch, time, layers.shape[2] * layers.shape[3]))
        mask = ops.expand_dims(mask, -1)  # (batch, time, 1)
        n_tokens = ops.sum(ops.cast(mask, x.dtype), axis=1)  # (batch, 1)
        mean = ops.sum(x, axis=1) / ops.maximum(n_tokens, 1)  # padding is zeros
        highest = ops.max(ops.where(mask, x, -1e4), axis=1)  # (batch, features)
        return ops.concatenate([mean, ops.where(n_tokens > 0, highest, 0)], axis=-1)


if __name__ == "__main__":
    main()
