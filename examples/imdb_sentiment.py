"""Is a film review positive? ELMo and two Dense layers, trained on strings.

The model of Jacob Zweig's article "ELMo Embeddings in Keras with TensorFlow Hub"
(2019), on today's Keras. See README.md beside this file for how to run it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imdb_strategy
import keras
import numpy as np
from arguments import blaming, require
from imdb_arguments import fill_in, make_parser
from imdb_curves import plot_curves
from imdb_data import DataError, load_imdb, plain_text
from imdb_strategy import Strategy, StrategyError

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError, text_dataset, tokenize
from keras_elmo.errors import WorkerLostError
from keras_elmo.text.reviews import Reviews, load_reviews
from keras_elmo.training import DistributedModel, TrainingBackup

# Small enough to train on a laptop's processor in seconds.
RANDOM_CONFIG = ElmoConfig(
    char_dim=16,
    filters=((1, 32), (2, 32), (3, 64), (4, 128)),
    n_highway=1,
    dim=128,
    projection_dim=64,
)
VALIDATION_PART = 0.1
ONE_DEVICE = Strategy()


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, evaluates and saves a model, and predicts with what it saved.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it; the loss of another worker ends the
        process with status 1.
    """
    parser = make_parser()
    args = fill_in(parser.parse_args(argv))
    # What can go wrong goes wrong here, before the hours of training.
    require(parser, "matplotlib")
    try:
        strategy = imdb_strategy.start(args.strategy, args.devices)
    except StrategyError as error:
        parser.error(str(error))
    keras.utils.set_random_seed(args.seed)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --output: cannot make the directory: {error}")
    with blaming(parser, "--source", SourceError), strategy.scope():
        model = build_model(
            args.source, args.fine_tune, args.learning_rate, args.accumulate
        )
    with blaming(parser, "--data", DataError, OSError):
        training, test = load_imdb(args.data) if args.data else load_reviews()
    print_parameters(model)
    training = prepared(shuffled(training, args.limit, args.seed), args.words)
    test = prepared(shuffled(test, args.limit, args.seed), args.words)
    try:
        history = train(
            model,
            training,
            args.epochs,
            args.batch_size,
            args.seed,
            args.backup and TrainingBackup(args.backup),
            strategy,
        )
        keras.distribution.set_distribution(None)
        test_accuracy = evaluate(model, test, args.batch_size)
    except WorkerLostError as error:
        print(error, file=sys.stderr, flush=True)
        # At its end TensorFlow would wait for that worker: if it is frozen, for ever.
        os._exit(1)
    print_mix(model)
    if strategy.is_chief:
        save(model, history, test_accuracy, args.output)
        if args.sentence is not None:
            print_prediction(args.output / "model.keras", args.sentence)
    return 0


def build_model(
    source: str,
    fine_tune: Any,
    learning_rate: float = 1e-3,
    accumulate: int | None = None,
) -> keras.Model:
    """Builds the article's model: reviews in, the probability of "positive" out.

    Args:
        source: As ``--source``.
        fine_tune: What of ELMo is trained.
        learning_rate: Adam's.
        accumulate: The gradients of so many batches make a step; ``None`` for one.

    Returns:
        The compiled model, from strings (batch,), or character ids (batch, time, 50) on
        the backends that have no strings, to probabilities (batch, 1).

    Raises:
        SourceError: No weights can be had from ``source``.
    """
    has_strings = keras.backend.backend() == "tensorflow"
    elmo = ElmoEmbeddingLayer(
        RANDOM_CONFIG if source == "random" else source,
        input_mode="sentences" if has_strings else "character_ids",
        fine_tune=fine_tune,
        name="elmo",
    )
    if has_strings:
        reviews = keras.Input(shape=(), dtype="string", name="review")  # (batch,)
    else:
        shape = (None, elmo.max_characters_per_token)
        reviews = keras.Input(shape=shape, dtype="int32", name="review")
    hidden = keras.layers.Dense(256, activation="relu")(elmo(reviews))  # (batch, 256)
    positive = keras.layers.Dense(1, activation="sigmoid")(hidden)  # (batch, 1)
    model = DistributedModel(reviews, positive)  # keras.Model, where there is one device
    optimizer = keras.optimizers.Adam(learning_rate, gradient_accumulation_steps=accumulate)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def print_parameters(model: keras.Model) -> None:
    """Prints how many numbers the model has, and how many of them are trained."""
    in_elmo = _count(model.get_layer("elmo").trainable_weights)
    print(
        f"Parameters: {_count(model.weights):,}, of which "
        f"{_count(model.trainable_weights):,} are trained ({in_elmo:,} of them in ELMo)"
    )


def _count(variables: Sequence[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def shuffled(reviews: Reviews, limit: int | None, seed: int) -> Reviews:
    """Puts reviews in random order, and keeps as many positive as negative ones.

    Args:
        reviews: Texts (n,) and labels (n,).
        limit: How many to keep at most; ``None`` for all, balanced or not.
        seed: The same seed gives the same order.

    Returns:
        Texts and labels.
    """
    texts, labels = reviews
    random = np.random.default_rng(seed)
    order = random.permutation(len(texts))
    if limit is not None:
        halves = [order[labels[order] == label][: limit // 2] for label in (0, 1)]
        order = random.permutation(np.concatenate(halves))
    return texts[order], labels[order]


def prepared(reviews: Reviews, words: int) -> Reviews:
    """Cuts reviews, and takes them apart as the text was that ELMo models learned from.

    Args:
        reviews: Texts and labels.
        words: How many words to keep of a text, where white space separates words.

    Returns:
        Texts in which a space stands between words and punctuation marks, and labels.
    """
    texts, labels = reviews
    cut = [" ".join(plain_text(text).split()[:words]) for text in texts]
    return np.array([" ".join(tokenize(text)) for text in cut], dtype=object), labels


def train(
    model: keras.Model,
    reviews: Reviews,
    epochs: int,
    batch_size: int,
    seed: int,
    backup: TrainingBackup | None = None,
    strategy: Strategy = ONE_DEVICE,
) -> dict[str, list[float]]:
    """Trains on all but a tenth of the reviews, which validates each epoch.

    Args:
        model: The compiled model.
        reviews: Texts and labels in random order.
        epochs: How often to see each review.
        batch_size: How many reviews make a step.
        seed: Of the order of the reviews in each epoch.
        backup: Keeps each epoch, and may hold those of a run that was killed.
        strategy: Where the model is trained.

    Returns:
        Loss and accuracy on both parts, a number for each epoch.
    """
    texts, labels = reviews
    n_validation = max(1, round(VALIDATION_PART * len(texts)))
    validation = strategy.divisible(texts[:n_validation], labels[:n_validation])
    training = strategy.divisible(texts[n_validation:], labels[n_validation:])
    print(
        f"Training on {len(training[0]):,} reviews, validating on "
        f"{len(validation[0]):,} others"
    )
    epoch = backup.restore(model) if backup else 0
    if epoch:
        print(f"Going on after epoch {epoch}")
    history = model.fit(
        text_dataset(
            *training, batch_size=batch_size, shuffle=True, seed=seed, initial_epoch=epoch
        ),
        validation_data=text_dataset(*validation, batch_size=batch_size),
        initial_epoch=epoch,
        epochs=epochs,
        shuffle=False,  # the data set shuffles by itself
        callbacks=[backup] if backup else [],
    )
    logs = backup.history if backup else history.history
    return {name: [float(x) for x in values] for name, values in logs.items()}


def evaluate(model: keras.Model, reviews: Reviews, batch_size: int) -> float:
    """Tells, once and at the end, how many of the test reviews are classified rightly."""
    texts, labels = reviews
    test = text_dataset(texts, labels, batch_size=batch_size)
    accuracy = float(model.evaluate(test, return_dict=True)["accuracy"])
    print(f"Test accuracy: {accuracy:.4f} on {len(texts):,} reviews")
    return accuracy


def print_mix(model: keras.Model) -> None:
    """Prints what ELMo's scalars have become: each layer's share, and the scale."""
    mix = model.get_layer("elmo").scalar_mix
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(mix.layer_weights))  # (layers,)
    gamma = float(keras.ops.convert_to_numpy(mix.gamma))
    print(f"Layer weights: {' '.join(f'{x:.4f}' for x in shares)}; gamma: {gamma:.4f}")


def save(
    model: keras.Model, history: dict[str, list[float]], test_accuracy: float, folder: Path
) -> None:
    """Writes the model, the numbers and the curves, and says where."""
    model.save(folder / "model.keras")
    numbers = {**history, "test_accuracy": test_accuracy}
    text = json.dumps(numbers, indent=2) + "\n"
    (folder / "history.json").write_text(text, encoding="utf-8")
    plot_curves(history, test_accuracy, folder / "training_curves.png")
    for name in ("model.keras", "history.json", "training_curves.png"):
        print(f"Wrote {folder / name}")


def print_prediction(path: Path, sentence: str) -> None:
    """Loads the saved model, which needs nothing but its file, and asks it."""
    model = keras.saving.load_model(path)
    sentences = text_dataset([" ".join(tokenize(sentence))])
    positive = float(model.predict(sentences, verbose=0)[0, 0])
    verdict = "positive" if positive >= 0.5 else "negative"
    print(f"The saved model on {sentence!r}: {verdict} (p(positive) = {positive:.4f})")


if __name__ == "__main__":
    raise SystemExit(main())
