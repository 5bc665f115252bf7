"""Is a film review positive? ELMo and two Dense layers, trained on strings.

The model of Jacob Zweig's article "ELMo Embeddings in Keras with TensorFlow Hub"
(2019), on today's Keras. See README.md beside this file for how to run it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from imdb_data import DataError, load_imdb, plain_text

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError, tokenize
from keras_elmo.reviews import Reviews, load_reviews

# Small enough to train on a laptop's processor in seconds.
RANDOM_CONFIG = ElmoConfig(
    char_dim=16,
    filters=((1, 32), (2, 32), (3, 64), (4, 128)),
    n_highway=1,
    dim=128,
    projection_dim=64,
)
VALIDATION_PART = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, evaluates and saves a model, and predicts with what it saved.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = fill_in(parser.parse_args(argv))
    # What can go wrong goes wrong here, before the hours of training.
    require_matplotlib(parser)
    keras.utils.set_random_seed(args.seed)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --output: cannot make the directory: {error}")
    try:
        model = build_model(args.source, args.fine_tune, args.learning_rate)
    except SourceError as error:
        parser.error(f"argument --source: {error}")
    try:
        training, test = load_imdb(args.data) if args.data else load_reviews()
    except (DataError, OSError) as error:
        parser.error(f"argument --data: {error}")
    print_parameters(model)
    training = prepared(shuffled(training, args.limit, args.seed), args.words)
    test = prepared(shuffled(test, args.limit, args.seed), args.words)
    history = train(model, training, args.epochs, args.batch_size)
    test_accuracy = evaluate(model, test, args.batch_size)
    print_mix(model)
    save(model, history, test_accuracy, args.output)
    if args.sentence is not None:
        print_prediction(args.output / "model.keras", args.sentence)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Train a sentiment classifier on ELMo embeddings of film reviews.",
    )
    add = parser.add_argument
    add(
        "sentence",
        nargs="?",
        type=_sentence,
        help="a sentence to classify with the saved model, after training",
    )
    add(
        "--data",
        type=_not_empty,
        metavar="PATH",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB); without it, the few reviews that come with keras-elmo",
    )
    add(
        "--source",
        type=_not_empty,
        default="mini",
        help="the ELMo model, a name, path or URL as ElmoEmbeddingLayer takes it "
        "(default: mini, which comes with keras-elmo), or 'random' for a small one with "
        "random weights",
    )
    add(
        "--words",
        type=integer_from(1),
        default=150,
        help="words to keep of a review (default: %(default)s)",
    )
    add(
        "--epochs",
        type=integer_from(1),
        help="passes over the reviews (default: 5 with --data, otherwise 30)",
    )
    add(
        "--batch-size",
        type=integer_from(1),
        default=32,
        help="reviews in a batch (default: %(default)s)",
    )
    add(
        "--limit",
        type=integer_from(2),
        metavar="N",
        help="train on at most N reviews and test with at most N, half of them positive",
    )
    add(
        "--fine-tune",
        choices=["aggregation", "lstm", "all"],
        help="what of ELMo is trained: the mix of its layers, its LSTMs too, or all "
        "(default: aggregation, or all where the source is random)",
    )
    add(
        "--learning-rate",
        type=_learning_rate,
        default=1e-3,
        metavar="RATE",
        help="Adam's learning rate (default: %(default)s)",
    )
    add(
        "--seed",
        type=integer_from(0),
        default=0,
        help="makes a run repeatable (default: %(default)s)",
    )
    add(
        "--output",
        type=Path,
        default=Path("imdb_sentiment_output"),
        metavar="DIR",
        help="where the model, the history and the curves go (default: %(default)s)",
    )
    return parser


def fill_in(args: argparse.Namespace) -> argparse.Namespace:
    """Sets what the command line left open, as far as it depends on other arguments.

    A trained ELMo is used as in the article. Random weights know nothing about
    language: all of them have to be trained. Few reviews need more passes.
    """
    if args.epochs is None:
        args.epochs = 5 if args.data else 30
    if args.fine_tune is None:
        args.fine_tune = "all" if args.source == "random" else "aggregation"
    return args


def integer_from(lowest: int) -> Callable[[str], int]:
    """A parser of whole numbers that are not below ``lowest``."""
    highest = 2**31 - 1  # TensorFlow counts in int32

    def parse(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {lowest} to {highest}, not {text!r}"
            )
        return int(text)

    return parse


def _learning_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return rate


def _not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _sentence(text: str) -> str:
    return _not_empty(text).strip()


def require_matplotlib(parser: argparse.ArgumentParser) -> None:
    """Ends the program if the curves could not be drawn later on."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        parser.error(
            f"matplotlib, which draws the training curves, cannot be imported ({error}): "
            'pip install "keras-elmo[examples]"'
        )


def build_model(source: str, fine_tune: Any, learning_rate: float = 1e-3) -> keras.Model:
    """Builds the article's model: strings in, the probability of "positive" out.

    Args:
        source: As ``--source``.
        fine_tune: What of ELMo is trained.
        learning_rate: Adam's.

    Returns:
        The compiled model, from strings (batch,) to probabilities (batch, 1).

    Raises:
        SourceError: No weights can be had from ``source``.
    """
    elmo = ElmoEmbeddingLayer(
        RANDOM_CONFIG if source == "random" else source,
        fine_tune=fine_tune,
        name="elmo",
    )
    reviews = keras.Input(shape=(), dtype="string", name="review")  # (batch,)
    hidden = keras.layers.Dense(256, activation="relu")(elmo(reviews))  # (batch, 256)
    positive = keras.layers.Dense(1, activation="sigmoid")(hidden)  # (batch, 1)
    model = keras.Model(reviews, positive)
    optimizer = keras.optimizers.Adam(learning_rate)
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
    model: keras.Model, reviews: Reviews, epochs: int, batch_size: int
) -> dict[str, list[float]]:
    """Trains on all but a tenth of the reviews, which validates each epoch.

    Args:
        model: The compiled model.
        reviews: Texts and labels in random order.
        epochs: How often to see each review.
        batch_size: How many reviews make a step.

    Returns:
        Loss and accuracy on both parts, a number for each epoch.
    """
    texts, labels = reviews
    n_validation = max(1, round(VALIDATION_PART * len(texts)))
    n_training = len(texts) - n_validation
    print(f"Training on {n_training:,} reviews, validating on {n_validation:,} others")
    history = model.fit(
        texts[n_validation:],
        labels[n_validation:],
        validation_data=(texts[:n_validation], labels[:n_validation]),
        epochs=epochs,
        batch_size=batch_size,
    )
    return {name: [float(x) for x in values] for name, values in history.history.items()}


def evaluate(model: keras.Model, reviews: Reviews, batch_size: int) -> float:
    """Tells, once and at the end, how many of the test reviews are classified rightly."""
    texts, labels = reviews
    result = model.evaluate(texts, labels, batch_size=batch_size, return_dict=True)
    accuracy = float(result["accuracy"])
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


def plot_curves(history: dict[str, list[float]], test_accuracy: float, path: Path) -> None:
    """Draws loss and accuracy over the epochs.

    Args:
        history: As :func:`train` returns it.
        test_accuracy: Drawn as a line across the accuracies.
        path: The PNG file to write.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        axes.plot(epochs, history[name], "o-", ms=4, label="training")
        axes.plot(epochs, history[f"val_{name}"], "s-", ms=4, label="validation")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("loss (binary crossentropy)")
    panels[1].axhline(
        test_accuracy, color="gray", ls="--", label="test, after the last epoch"
    )
    # One legend for both panels, below them, where it covers no point.
    handles, names = panels[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Sentiment of film reviews on ELMo embeddings")
    figure.savefig(path, dpi=150)


def print_prediction(path: Path, sentence: str) -> None:
    """Loads the saved model, which needs nothing but its file, and asks it."""
    model = keras.saving.load_model(path)
    # Keras takes strings as an object array, not as a list.
    sentences = np.array([" ".join(tokenize(sentence))], dtype=object)  # (1,)
    positive = float(model.predict(sentences, verbose=0)[0, 0])
    verdict = "positive" if positive >= 0.5 else "negative"
    print(f"The saved model on {sentence!r}: {verdict} (p(positive) = {positive:.4f})")


if __name__ == "__main__":
    raise SystemExit(main())
