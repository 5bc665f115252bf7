"""What a biLM loses when each sentence starts from the zero state, and wins otherwise.

The reference implementations carry the LSTM state from sentence to sentence, so that
vectors depend on history. This compares three states to start a sentence in: zeros, the
state that the sentence before ended in, and a stored one, the mean state over other text.
It prints the perplexity on held-out text and, with reviews, the accuracy of a ridge
regression on the pooled layers::

    python examples/start_state.py mini imdb_text --data aclImdb_v1.tar.gz
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from imdb_data import load_imdb
from imdb_features import accuracy_of, divided, train
from imdb_sentiment import prepared, shuffled
from numpy.typing import NDArray
from tqdm import tqdm

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.layers.carried_state import CarriedState
from keras_elmo.pretraining import (
    BidirectionalLanguageModel,
    Vocabulary,
    Windows,
    evaluate_windows,
    expand_paths,
    load_language_model,
    read_sentences,
)
from keras_elmo.text.reviews import Reviews

BATCH_SIZE = 50
STEPS = 64
WARM_UP = 100  # windows
WORDS = 150
STATES = ("zeros", "carried", "stored")

States = list[NDArray[np.float32]]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line for each start state.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0.
    """
    parser = argparse.ArgumentParser(description="Compare the states that LSTMs start in.")
    parser.add_argument("source", help="a source with a softmax, such as mini")
    parser.add_argument(
        "text_dir", type=Path, help="train-*.txt and heldout.txt, as mini_prepare.py writes"
    )
    parser.add_argument("--data", help="the IMDB reviews; without, perplexities only")
    parser.add_argument("--limit", type=int, default=4000, help="reviews in each half")
    args = parser.parse_args(argv)
    model, vocabulary = load_language_model(args.source, BATCH_SIZE)
    model.compile()
    stored = mean_state(model, vocabulary, args.text_dir)
    reviews = None
    if args.data is not None:
        parts = [shuffled(part, args.limit, 0) for part in load_imdb(args.data)]
        reviews = [prepared(part, WORDS) for part in parts]
    for start in STATES:
        value = perplexity(model, vocabulary, args, start, stored)
        line = f"{start:8} perplexity {value:.2f}"
        if reviews is not None:
            line += f" accuracy {accuracy(args.source, reviews, start, stored):.4f}"
        print(line, flush=True)
    return 0


def mean_state(
    model: BidirectionalLanguageModel, vocabulary: Vocabulary, text_dir: Path
) -> States:
    """The mean over rows and windows of the state that is carried through text."""
    windows = Windows(model.config, vocabulary, BATCH_SIZE, STEPS, "carried")
    paths = expand_paths([str(text_dir / "train-*.txt")])
    sums: list[Any] = []
    for n, window in enumerate(
        itertools.islice(windows(read_sentences(paths, shuffle_seed=0)), WARM_UP)
    ):
        model.test_on_batch(window)
        means = [np.mean(state, axis=0) for state in _values(model.evaluation_state)]
        sums = means if n == 0 else [a + b for a, b in zip(sums, means, strict=True)]
    return [np.asarray(total / (n + 1), np.float32) for total in sums]


def perplexity(
    model: BidirectionalLanguageModel,
    vocabulary: Vocabulary,
    args: argparse.Namespace,
    start: str,
    stored: States,
) -> float:
    """The perplexity of the held-out text, both directions."""
    for variable, value in zip(model.start_state.states, stored, strict=True):
        variable.assign(value[None] * (start == "stored"))  # (1, size)
    windows = Windows(
        model.config,
        vocabulary,
        BATCH_SIZE,
        STEPS,
        "carried" if start == "carried" else "reset",
    )
    sentences = read_sentences([args.text_dir / "heldout.txt"])
    return evaluate_windows(model, windows(sentences)).mean


def accuracy(source: str, reviews: Sequence[Reviews], start: str, stored: States) -> float:
    """The accuracy of ridge regression on the pooled layers."""
    layer = ElmoEmbeddingLayer(source, output_mode="pooled_layers", stateful=True)
    text = keras.Input(batch_shape=(BATCH_SIZE,), dtype="string")
    model = keras.Model(text, layer(text))
    state = layer.bilm.carried_state
    assert state is not None

    def before_each_batch() -> None:
        for variable, value in zip(state.states, stored, strict=True):
            if start != "carried":
                variable.assign(np.tile(value, (BATCH_SIZE, 1)) * (start == "stored"))

    training, test = (
        (_features(model, texts, before_each_batch), labels) for texts, labels in reviews
    )
    n_validation = len(training[0]) // 10
    validation, training = divided(training, n_validation)
    return accuracy_of(train(training, validation)[0], test)


def _features(
    model: keras.Model, texts: NDArray[np.object_], before_each_batch: Callable[[], None]
) -> NDArray[np.float32]:
    features = []
    for first in tqdm(range(0, len(texts), BATCH_SIZE), desc="Features", unit=" batches"):
        before_each_batch()
        pooled = model.predict_on_batch(texts[first : first + BATCH_SIZE])
        features.append(pooled.reshape(len(pooled), -1))  # (batch, n_layers * size)
    return np.concatenate(features)  # (n, n_layers * size)


def _values(state: CarriedState) -> States:
    return [keras.ops.convert_to_numpy(variable) for variable in state.states]


if __name__ == "__main__":
    raise SystemExit(main())
