"""What the page "play" needs besides its scripts: mini and the vectors of sentences.

A Sphinx extension, which writes two scripts to ``_static`` of the pages.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, tokenize
from keras_elmo.hub.sources import load_source
from keras_elmo.text.reviews import load_reviews
from keras_elmo.weights.sources import save_model

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TEMPLATES = Path(__file__).with_name("sentences.txt")
FILLINGS = 6  # of a template, at most
OCCURRENCES = 100  # of a word, at most, in addition to those with a sense
DIRECTIONS = 64  # of vectors, instead of 512: an eighth to download
NEAREST = 5  # templates whose sentences count; there are 8 or more of a sense

Floats = NDArray[np.float32]
Arrays = dict[str, Floats]


class Sentence(NamedTuple):
    """A text, its template, and if it was made for a sense, the word and the sense."""

    text: str
    template: int  # the number of its line; sentences of reviews each have their own
    word: str = ""
    sense: str = ""


class Space(NamedTuple):
    """The principal directions of vectors, in which they are compared."""

    mean: Floats  # (features,)
    directions: Floats  # (features, DIRECTIONS)

    @classmethod
    def of(cls, vectors: Floats) -> Space:
        mean = vectors.mean(axis=0)  # (features,)
        _, directions = np.linalg.eigh((vectors - mean).T @ (vectors - mean))
        return cls(mean, rounded(directions[:, : -DIRECTIONS - 1 : -1]))

    def of_length_one(self, vectors: Floats) -> Floats:
        inside = (vectors - self.mean) @ self.directions  # (n, directions)
        return inside / np.linalg.norm(inside, axis=1, keepdims=True)


def sentences(seed: int = 0) -> Iterator[Sentence]:
    """The templates, filled by a generator with this seed, and the embedded reviews."""
    random, word, sense, number = Random(seed), "", "", 0
    lists: dict[str, list[str]] = {}
    for number, line in enumerate(TEMPLATES.read_text("utf-8").splitlines()):
        if header := re.fullmatch(r"\[(\w+): (.+)\]", line):
            word, sense = header.groups()
        elif line and word:
            texts = dict.fromkeys(_filled(line, lists, random) for _ in range(FILLINGS))
            yield from (Sentence(text, number, word, sense) for text in texts)
        elif line and not line.startswith("#"):
            name, _, values = line.partition(": ")
            lists[name] = values.split(" | ")
    for text in chain.from_iterable(reviews for reviews, _ in load_reviews()):
        for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", text):
            number += 1
            yield Sentence(sentence, number)


def _filled(template: str, lists: dict[str, list[str]], random: Random) -> str:
    text = re.sub(r"\{(\w+)\}", lambda name: random.choice(lists[name[1]]), template)
    text = re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", text)
    return text[0].upper() + text[1:]


def quantized(array: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Whole numbers from -127 to 127, and the factor of each column of the last axis."""
    largest = np.abs(array).max(axis=tuple(range(array.ndim - 1)))  # (columns,)
    scale = (np.maximum(largest, 1e-30) / 127).astype(np.float32)
    return np.round(array / scale).astype(np.int8), scale


def rounded(array: Floats) -> Floats:
    """What the page reads: vectors are exact, all else is quantized."""
    if array.ndim == 1:
        return array.astype(np.float32)
    numbers, scale = quantized(array)
    return numbers * scale


def mini() -> tuple[ElmoConfig, Arrays]:
    """The model as the page has it."""
    config, arrays, _ = load_source("mini")
    return config, {name: rounded(array) for name, array in arrays.items()}


def mini_layer(**kwargs: Any) -> ElmoEmbeddingLayer:
    """A layer with the weights that the page has."""
    with TemporaryDirectory() as folder:
        save_model(folder, *mini())
        return ElmoEmbeddingLayer(folder, split="words", trainable=False, **kwargs)


def corpus() -> tuple[dict[str, Any], Arrays]:
    """The sentences, and what the page compares the words of a typed one with."""
    made = list(sentences())
    senses = list(dict.fromkeys((s.word, s.sense) for s in made if s.word))
    tokens = [tokenize(s.text) for s in made]
    places = list(_places(made, tokens))
    words = [tokens[i][k] for i, k in places]
    layers = mini_layer(output_mode="layers").encode([s.text for s in made], verbose=0)
    vectors = np.stack([layers[i][k] for i, k in places])  # (n, n_layers + 1, D)
    top = vectors[:, -1]  # (n, D)
    types, first = np.unique(words, return_index=True)
    # Layer 0 is the token vector twice.
    without = vectors[first, 0, : vectors.shape[-1] // 2]  # (types, D / 2)
    static, context = Space.of(without), Space.of(top)
    inside = context.of_length_one(top)  # (n, DIRECTIONS)
    maps, shares = [], {}
    for word in dict.fromkeys(word for word, _ in senses):
        rows = [r for r, (i, _) in enumerate(places) if made[i].word == word == words[r]]
        owners = [made[places[r][0]] for r in rows]
        maps.append(_map(inside[rows], [s.sense for s in owners]))
        shares[word] = _shares(inside[rows], owners)
    header = {
        "sentences": [
            [s.text, s.template, senses.index((s.word, s.sense)) if s.word else -1]
            for s in made
        ],
        "senses": senses,
        "types": types.tolist(),
        "shares": shares,
        "nearest_count": NEAREST,
    }
    return header, {
        "places": np.array(places, np.float32).ravel(),
        "context": inside,
        "context/mean": context.mean,
        "context/directions": context.directions,
        "static": static.of_length_one(without),
        "static/mean": static.mean,
        "static/directions": static.directions,
        "maps/mean": np.ravel([space.mean for space in maps]),
        "maps/directions": np.stack([space.directions for space in maps]),
    }


def _places(
    made: Sequence[Sentence], tokens: Sequence[Sequence[str]]
) -> Iterator[tuple[int, int]]:
    """The words that are kept, as sentence and position: of frequent ones not all."""
    places = [(i, k) for i, words in enumerate(tokens) for k in range(len(words))]
    Random(0).shuffle(places)
    counts: Counter[str] = Counter()
    for i, k in places:
        word = tokens[i][k]
        counts[word] += 1
        is_kept = counts[word] <= OCCURRENCES or word == made[i].word
        if is_kept and any(map(str.isalpha, word)):
            yield i, k


def _map(inside: Floats, senses: Sequence[str]) -> Space:
    """Two directions (DIRECTIONS, 2): those between the senses' means come first."""
    is_sense = np.array([[s == sense for s in senses] for sense in dict.fromkeys(senses)])
    means = is_sense @ inside / is_sense.sum(axis=1, keepdims=True)  # (senses, DIRECTIONS)
    mean = means.mean(axis=0)
    n_between = min(len(means) - 1, 2)
    between = np.linalg.svd(means - mean)[2][:n_between]  # (n_between, DIRECTIONS)
    rest = (inside - mean) - (inside - mean) @ between.T @ between  # (n, DIRECTIONS)
    within = np.linalg.svd(rest, full_matrices=False)[2][: 2 - n_between]
    return Space(mean, rounded(np.concatenate([between, within]).T))


def _shares(inside: Floats, made: Sequence[Sentence]) -> tuple[float, float]:
    """Of a word's nearest sentences those with its sense, and of all: a mean over them."""
    found, expected = [], []
    senses = {s.template: s.sense for s in made}
    for row, (_, template, _, sense) in zip(inside, made, strict=True):
        order = dict.fromkeys(made[i].template for i in np.argsort(-inside @ row))
        same = [senses[other] == sense for other in order if other != template]
        found.append(np.mean(same[:NEAREST]))
        expected.append(np.mean(same))
    return round(float(np.mean(found)), 3), round(float(np.mean(expected)), 3)


def script(name: str, header: dict[str, Any], arrays: Arrays) -> str:
    """A script with a header and arrays, which a page can also load from a disk."""
    contents, shapes = b"", {}
    for key, array in arrays.items():
        shapes[key] = array.shape
        for part in quantized(array) if array.ndim > 1 else (array.astype(np.float32),):
            contents += part.tobytes()
    text = json.dumps(header | {"arrays": shapes}, separators=(",", ":"))
    return f"Elmo.files.{name} = [{text},\n'{base64.b64encode(contents).decode()}'];\n"


def write(app: Sphinx, error: Exception | None) -> None:
    """Writes the scripts, if what they are made of has changed."""
    if error or app.builder.name != "html":
        return
    folder, digest = Path(app.outdir, "_static"), _digest()
    if (folder / "sentences.js").exists():
        with (folder / "sentences.js").open(encoding="utf-8") as file:
            if file.readline() == digest:
                return
    config, weights = mini()
    model = script("model", {"config": config.to_options()}, weights)
    (folder / "model.js").write_text(model, "utf-8")
    (folder / "sentences.js").write_text(digest + script("sentences", *corpus()), "utf-8")


def _digest() -> str:
    _, _, weights = load_source("mini")
    content = b"".join(p.read_bytes() for p in (weights, TEMPLATES, Path(__file__)))
    return f"// {hashlib.sha256(content).hexdigest()}\n"


def setup(app: Sphinx) -> None:
    app.connect("build-finished", write)
