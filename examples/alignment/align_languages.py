"""Maps one language's word vectors to another's, by a dictionary of some of the words.

ELMo models of two languages have unrelated spaces. A rotation maps one to the other, and
some words with their translations suffice to learn it (Schuster et al. 2019). The program
holds out a fifth of a dictionary, counts how often these words find their translations
among all words, by cosine, and draws them before and after.

The package has no second language, so the program makes one up: English in a cipher, in
which "the film" is "gur svyz". It trains a small model of each on film reviews, on half of
those that come with keras-elmo, or of IMDB's::

    python examples/alignment/align_languages.py
    python examples/alignment/align_languages.py --data download --steps 1000 --output imdb

For real languages, pass ``--models FROM TO``, of one size, ``--texts FROM TO``, files with
a sentence on each line, and ``--dictionary``, a file with two words on each line. A word
with several translations has several lines; any of them counts as right.
"""

from __future__ import annotations

import argparse
import codecs
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, tokenize
from keras_elmo.layers import Alignment
from keras_elmo.pretraining import TrainingConfig, train
from keras_elmo.text import load_reviews
from keras_elmo.text.imdb import load_imdb
from keras_elmo.vectors import anchors, learn_alignment

FILTERS = ((1, 16), (2, 32), (3, 64), (4, 64))
SMALL = ElmoConfig(filters=FILTERS, n_highway=1, dim=128, projection_dim=64)
HELD_OUT_PART = 0.2
N_POINTS = 60  # held-out pairs in the picture
N_LABELS = 12

Ranks = NDArray[np.integer[Any]]
Anchors = Mapping[str, NDArray[np.float32]]  # (n_layers + 1, D) of each word
Translations = Mapping[str, Sequence[str]]


def main() -> None:
    args = parse_arguments()
    dictionary = read_dictionary(args.dictionary) if args.dictionary else None
    args.output.mkdir(parents=True, exist_ok=True)
    texts = args.texts or made_up_texts(args.data, args.limit, args.output)
    models = args.models or [trained(path, seed, args) for seed, path in enumerate(texts)]
    source, target = (
        anchors_of(model, path, args.min_count)
        for model, path in zip(models, texts, strict=True)
    )
    if dictionary is None:
        dictionary = {word: [cipher(word)] for word in source}
    known = {a: [b for b in dictionary[a] if b in target] for a in dictionary}
    words = [a for a in known if a in source and known[a]]
    random.Random(0).shuffle(words)
    n_held_out = round(HELD_OUT_PART * len(words))
    held_out = {word: known[word] for word in words[:n_held_out]}
    training = [(a, b) for a in words[n_held_out:] for b in known[a]]
    print(f"Learned from {len(training):,} pairs; {n_held_out:,} other words")
    print(f"find their translations among {len(target):,} (among the nearest five):")

    align = Alignment(learn_alignment(source, target, training))
    aligned = keras.ops.convert_to_numpy(align(np.stack([*source.values()])))
    sides = {"before": source, "after": dict(zip(source, aligned, strict=True))}
    for layer in range(aligned.shape[1]):
        for name, side in sides.items():
            ranks = ranks_of(held_out, side, target, layer)  # (held out,)
            first, five = (ranks < 1).mean(), (ranks < 5).mean()
            print(f"layer {layer} {name:<7}{first:.2f} ({five:.2f})")
    names = [path.stem for path in texts]
    plot(held_out, sides, target, names, args.output / "alignment.png")
    print(f"Wrote {args.output / 'alignment.png'}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("--limit", type=int, default=1000, help="most reviews of each language")
    add("--steps", type=int, default=200, help="training steps (default: %(default)s)")
    add("--models", nargs=2, metavar=("FROM", "TO"), help="models instead of training")
    add("--texts", nargs=2, type=Path, metavar=("FROM", "TO"), help="a sentence per line")
    add("--dictionary", type=Path, help="two words per line")
    add("--min-count", type=int, default=5, help="occurrences that a word needs")
    add("--output", type=Path, default=Path("alignment_output"), metavar="DIR")
    return parser.parse_args()


def read_dictionary(path: Path) -> Translations:
    found: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
        words = line.split()
        if len(words) == 2:
            found.setdefault(words[0], []).append(words[1])
        elif words:
            raise SystemExit(f"{path}, line {number}: expected two words; got {line!r}.")
    return found


def cipher(text: str) -> str:
    return codecs.encode(text, "rot13")


def made_up_texts(data: str | None, limit: int, folder: Path) -> list[Path]:
    """Writes reviews in cipher, and other reviews in English."""
    halves = load_reviews() if data is None else load_imdb(data)
    reviews = [text for texts, _ in halves for text in texts]
    random.Random(0).shuffle(reviews)
    middle = min(limit, len(reviews) // 2)
    parts = map(cipher, reviews[:middle]), reviews[middle : 2 * middle]
    paths = [folder / "cipher.txt", folder / "english.txt"]
    for path, lines in zip(paths, parts, strict=True):
        content = "".join(f"{line}\n" for line in lines).encode()
        if path.exists() and path.read_bytes() != content:
            raise SystemExit(f"{path} has other texts. Choose another folder (--output).")
        path.write_bytes(content)
    return paths


def trained(path: Path, seed: int, args: argparse.Namespace) -> Path:
    """A model of a text; what an earlier run has trained is used again."""
    settings = TrainingConfig(
        n_steps=args.steps,
        batch_size=64,
        sentence_state="reset",
        vocabulary_size=8000,
        n_samples=1024,
        learning_rate=5e-3,
        warmup_steps=args.steps // 10,
        log_steps=args.steps,
        seed=seed,
    )
    model = args.output / path.stem
    train([path], model, SMALL, settings, split="words", resume=True, verbose=False)
    return model


def anchors_of(model: Any, path: Path, min_count: int) -> Anchors:
    """The anchors of the words of a text."""
    rows = [tokenize(line) for line in path.read_text("utf-8").split("\n")]
    counts = Counter(token for row in rows for token in row if token.isalpha())
    layer = ElmoEmbeddingLayer(model, "layers", trainable=False)

    def vectors() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(rows), 256):
            yield from layer.encode(rows[start : start + 256], verbose=0)

    return anchors(rows, vectors(), [w for w, n in counts.items() if n >= min_count])


def ranks_of(
    translations: Translations, source: Anchors, target: Anchors, layer: int
) -> Ranks:
    """How many words are nearer to each word than its nearest translation, (asked,)."""
    places = {word: i for i, word in enumerate(target)}
    candidates = units([vectors[layer] for vectors in target.values()])  # (words, D)
    asked = units([source[a][layer] for a in translations])  # (asked, D)
    cosines = asked @ candidates.T  # (asked, words)
    right = [[places[b] for b in words] for words in translations.values()]
    best = [row[own].max() for row, own in zip(cosines, right, strict=True)]
    return (cosines > np.array(best)[:, None]).sum(axis=1)


def units(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)


def plot(
    translations: Translations,
    sides: Mapping[str, Anchors],
    target: Anchors,
    names: Sequence[str],
    path: Path,
) -> None:
    """Draws the top layer of some pairs in their first two principal components."""
    pairs = [(a, right[0]) for a, right in translations.items()][:N_POINTS]
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.5), layout="constrained")
    for axis, (title, source) in zip(axes, sides.items(), strict=True):
        vectors = [source[a][-1] for a, _ in pairs] + [target[b][-1] for _, b in pairs]
        left, right = np.split(PCA(2).fit_transform(units(vectors)), 2)  # (pairs, 2) each
        axis.plot(*np.stack([left, right]).transpose(2, 0, 1), c="0.8", lw=0.8, zorder=0)
        for side, points in enumerate((left, right)):
            axis.scatter(*points.T, s=12, label=names[side])
            for pair, point in zip(pairs[:N_LABELS], points, strict=False):
                axis.annotate(pair[side], point, (3, 2), textcoords="offset points")
        axis.set(title=title, xticks=[], yticks=[])
    axes[0].legend()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
