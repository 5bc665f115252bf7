"""Tasks on the layers of a frozen ELMo: texts or tokens, each with a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from named_entities_data import Sentence
from named_entities_scores import score
from named_entities_taggers import tag_names
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.text.reviews import Reviews
from keras_elmo.vectors import Embeddings

N_WORDS = 200  # how many of the most frequent ones are classes
N_TOKENS = 20_000  # the most that are taken of a part, at random

Integers = NDArray[np.integer[Any]]
Layers = NDArray[np.float32]
"""The layers of texts or tokens, (n, n_layers + 1, D)."""

Labelled = tuple[Layers, Integers]
"""Layers, and the class of each text or token, (n,)."""


@dataclass(frozen=True)
class Task:
    """What a head is to learn.

    Attributes:
        name: What it is called.
        measure: What ``score`` is called.
        training: What to train on.
        held_out: What to score on.
        n_classes: How many classes there are.
        score: Of the classes found for what is held out, (n,); 1 is the best.
    """

    name: str
    measure: str
    training: Labelled
    held_out: Labelled
    n_classes: int
    score: Callable[[Integers], float]


def sentiment(source: str, parts: tuple[Reviews, Reviews], folder: Path) -> Task:
    """Is a review positive? On the mean of each layer over the review's tokens.

    Args:
        source: The ELMo model.
        parts: Reviews to train on and reviews held out, their tokens joined by spaces.
        folder: Where the features go, or are.
    """
    layer = ElmoEmbeddingLayer(source, "pooled_layers", trainable=False)
    training, held_out = (
        (
            np.array(compute_features(layer, texts, folder / f"reviews-{part}.npy")),
            labels.astype(np.int32),
        )
        for part, (texts, labels) in zip(("train", "held-out"), parts, strict=True)
    )
    return Task("sentiment", "accuracy", training, held_out, 2, _accuracy(held_out[1]))


def words(
    source: str, parts: tuple[Sequence[str], Sequence[str]], folder: Path
) -> list[Task]:
    """Two tasks that need no annotation: which word is it, and which one follows?

    Both are asked of tokens where the answer is one of the most frequent words of the
    training texts.

    Args:
        source: The ELMo model.
        parts: Texts to train on and texts held out, their tokens joined by spaces.
        folder: Where the features go, or are.
    """
    tokens = [[text.split() for text in texts] for texts in parts]
    features = token_layers(
        source, dict(zip(("train", "held-out"), tokens, strict=True)), folder, "words"
    )
    classes = frequent_words(tokens[0], N_WORDS)
    tasks = []
    for name, answers in (("the word itself", itself), ("the next word", following)):
        training, held_out = (
            answered(layers.values, answers(texts), classes)
            for layers, texts in zip(features, tokens, strict=True)
        )
        right = _accuracy(held_out[1])
        tasks.append(Task(name, "accuracy", training, held_out, len(classes), right))
    return tasks


def named_entities(
    source: str, parts: Mapping[str, Sequence[Sentence]], folder: Path
) -> Task:
    """Is a token part of a name, and of which kind? Scored by whole entities.

    Args:
        source: The ELMo model.
        parts: The sentences of "train" and "dev".
        folder: Where the features go, or are.
    """
    used = {part: parts[part] for part in ("train", "dev")}
    tokens = {part: [s.tokens for s in sentences] for part, sentences in used.items()}
    features = token_layers(source, tokens, folder, "entities")
    tags = tag_names(used["train"])
    training, held_out = (
        (
            np.asarray(layers.values, np.float32),
            np.array([_number(tag, tags) for s in sentences for tag in s.tags]),
        )
        for layers, sentences in zip(features, used.values(), strict=True)
    )

    def f1(found: Integers) -> float:
        names = iter(tags[number] for number in found)
        rows = [[next(names) for _ in s.tokens] for s in used["dev"]]
        return score(used["dev"], rows).f1

    return Task("named entities", "F1", training, held_out, len(tags), f1)


def token_layers(
    source: str,
    parts: Mapping[str, Sequence[Sequence[str]]],
    folder: Path,
    name: str,
) -> list[Embeddings]:
    """Computes the layers of all tokens once, into files that are opened the next time.

    Args:
        source: The ELMo model.
        parts: The tokens of each text of each part.
        folder: Where the files go, or are.
        name: What their names begin with.

    Returns:
        Features (time, n_layers + 1, D) of each text, for each part; in half precision,
        which leaves three digits.
    """
    layer = ElmoEmbeddingLayer(source, "layers", trainable=False)
    every = []
    for part, tokens in parts.items():
        texts = [" ".join(row) for row in tokens]
        path = folder / f"{name}-{part}.npy"
        features = compute_features(layer, texts, path, dtype="float16")
        every.append(features)
    return every


def frequent_words(texts: Sequence[Sequence[str]], n: int) -> dict[str, int]:
    """Numbers the ``n`` most frequent words, the first of equals first."""
    counts = Counter(word for text in texts for word in text)
    return {word: number for number, (word, _) in enumerate(counts.most_common(n))}


def itself(texts: Sequence[Sequence[str]]) -> list[str | None]:
    """Each token of each text."""
    return [word for text in texts for word in text]


def following(texts: Sequence[Sequence[str]]) -> list[str | None]:
    """The token behind each token of each text; ``None`` behind the last ones."""
    return [after for text in texts for _, after in pairwise([*text, None])]


def answered(
    layers: Any, answers: Sequence[str | None], classes: Mapping[str, int]
) -> Labelled:
    """The tokens whose answer is one of the classes, or ``N_TOKENS`` of them.

    Args:
        layers: Of all tokens, (n, n_layers + 1, D).
        answers: A word for each token, (n,).
        classes: The numbers of words.

    Returns:
        Layers and classes, in the order of the tokens.
    """
    numbers = np.array([_number(word, classes) for word in answers], np.int32)  # (n,)
    places = np.flatnonzero(numbers >= 0)
    if len(places) > N_TOKENS:
        random = np.random.default_rng(0)
        places = np.sort(random.choice(places, N_TOKENS, replace=False))
    return np.asarray(layers[places], np.float32), numbers[places]


def _number(name: str | None, names: Any) -> int:
    """The number of a name, and -1 where it has none."""
    if isinstance(names, Mapping):
        return int(names.get(name, -1))
    return names.index(name) if name in names else -1


def _accuracy(labels: Integers) -> Callable[[Integers], float]:
    return lambda found: float(np.mean(found == labels))
