"""Four tasks on the layers of a frozen ELMo: texts or tokens, each with a class."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, compute_features

sys.path.append(str(Path(__file__).parents[1] / "named_entities"))  # shared with it

from entities import FILES, read_sentences, score_tags

N_WORDS = 200  # the most frequent words are the classes
N_TOKENS = 20_000  # the most random tokens per part
WORD_REVIEWS = (300, 100)  # training and held-out reviews whose tokens are used

Layers = NDArray[np.float32]
"""The layers of texts or tokens, (n, n_layers + 1, D)."""

Classes = NDArray[np.integer[Any]]
"""The class of each text or token, (n,)."""


class Task(NamedTuple):
    """What a head learns, and its score on held-out data."""

    name: str
    measure: str
    training: tuple[Layers, Classes]
    held_out: tuple[Layers, Classes]
    n_classes: int
    score: Callable[[Classes], float]


def accuracy_task(
    name: str,
    training: tuple[Layers, Classes],
    held_out: tuple[Layers, Classes],
    n_classes: int,
) -> Task:
    def accuracy(found: Classes) -> float:
        return float(np.mean(found == held_out[1]))

    return Task(name, "accuracy", training, held_out, n_classes, accuracy)


def sentiment(source: str, parts: Sequence[Any], folder: Path) -> Task:
    """Sentiment of reviews, from the mean of each layer over the tokens."""
    layer = ElmoEmbeddingLayer(source, "pooled_layers", trainable=False)
    both = []
    for name, (texts, labels) in zip(("train", "held-out"), parts, strict=True):
        features = compute_features(layer, texts, folder / f"reviews-{name}.npy")
        both.append((np.asarray(features), labels.astype(np.int32)))
    return accuracy_task("sentiment", both[0], both[1], 2)


def words(source: str, parts: Sequence[Any], folder: Path) -> list[Task]:
    """The word of each token, and the next word, as two tasks.

    Only tokens whose answer is one of the most frequent words of the training texts count.
    """
    texts = [part[0][:n] for part, n in zip(parts, WORD_REVIEWS, strict=True)]
    tokens = [[text.split() for text in part] for part in texts]
    features = [
        token_layers(source, rows, folder / f"words-{name}.npy")
        for name, rows in zip(("train", "held-out"), tokens, strict=True)
    ]
    counts = Counter(token for row in tokens[0] for token in row)
    classes = {word: i for i, (word, _) in enumerate(counts.most_common(N_WORDS))}
    tasks = []
    for name, distance in (("the word itself", 0), ("the next word", 1)):
        both = [
            answered(layers, rows, classes, distance)
            for layers, rows in zip(features, tokens, strict=True)
        ]
        tasks.append(accuracy_task(name, both[0], both[1], len(classes)))
    return tasks


def answered(
    layers: Any, rows: Sequence[Sequence[str]], classes: Mapping[str, int], distance: int
) -> tuple[Layers, Classes]:
    """The tokens whose word at a distance in the row is a class; at most ``N_TOKENS``."""
    answers = [[*row[distance:], *[""] * distance][: len(row)] for row in rows]
    numbers = np.array([classes.get(a, -1) for row in answers for a in row])  # (tokens,)
    places = np.flatnonzero(numbers >= 0)
    if len(places) > N_TOKENS:
        random = np.random.default_rng(0)
        places = np.sort(random.choice(places, N_TOKENS, replace=False))
    return np.asarray(layers[places], np.float32), numbers[places]


def named_entities(source: str, data: Path, folder: Path) -> Task:
    """Whether a token is part of a name, and of which kind; scored by whole entities."""
    parts = {part: read_sentences(data / FILES[part]) for part in ("train", "dev")}
    kinds = {tag for sentence in parts["train"] for tag in sentence.tags}
    names = ["O", *sorted(kinds - {"O"})]
    numbers = {name: i for i, name in enumerate(names)}
    both = []
    for part, sentences in parts.items():
        tokens = [sentence.tokens for sentence in sentences]
        layers = token_layers(source, tokens, folder / f"entities-{part}.npy")
        tags = [numbers.get(tag, -1) for sentence in sentences for tag in sentence.tags]
        both.append((layers.astype(np.float32), np.array(tags)))

    def f1(found: Classes) -> float:
        rows = iter(names[number] for number in found)
        guessed = [[next(rows) for _ in sentence.tags] for sentence in parts["dev"]]
        return score_tags(parts["dev"], guessed)["all entities"].f1

    return Task("named entities", "F1", both[0], both[1], len(names), f1)


def token_layers(source: str, rows: Sequence[Sequence[str]], path: Path) -> Any:
    """The layers of all tokens, one row after another: (tokens, n_layers + 1, D)."""
    layer = ElmoEmbeddingLayer(source, "layers", trainable=False)
    # Half precision keeps three digits.
    features = compute_features(layer, [" ".join(r) for r in rows], path, dtype="float16")
    return np.concatenate(list(features))
