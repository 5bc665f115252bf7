"""Prints how well the groups of group_senses.py agree with known senses.

Real words are labeled by a word next to them, the cue: "like" after "would" is a verb,
after "looks" a preposition. The cue is part of the sentence and affects the vectors. So
each set is embedded once more with a made-up word instead of the cue: the senses must then
be found in the rest of the sentence. Made-up words need no labels: one made-up word
replaces two real words, and the groups should separate these::

    python examples/word_senses/evaluate_groups.py download
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from clusters import Agreement, agreement, cluster, of_layer, to_directions, word_vectors
from occurrences import read_sentences
from sense_rules import LabeledSet, labeled_sets

from keras_elmo import ElmoEmbeddingLayer


def main() -> None:
    args = parse_arguments()
    layer = make_layer(args.source, args.seed)
    sentences = read_sentences(args.data)
    names = [*map(str, range(layer.n_layers + 1)), "average", "all"]
    print("Adjusted Rand index (purity); the majority is the purity of a single group.")
    columns = [f"layer {name}" if name.isdecimal() else name for name in names]
    print_row(["", "", "n", "majority", *columns])
    means: dict[str, list[list[float]]] = {}
    for labeled in labeled_sets(sentences, args.limit, args.seed):
        found = evaluate(layer, labeled, names, args.seed)
        n = sum(map(len, labeled.senses))
        cells = [f"{a.rand_index:.2f} ({a.purity:.2f})" for a in found]
        majority = f"{found[0].majority:.2f}"
        print_row([labeled.name, labeled.kind, f"{n}", majority, *cells])
        means.setdefault(labeled.kind, []).append([a.rand_index for a in found])
    for kind, rows in means.items():
        cells = [f"{value:.3f}" for value in np.mean(rows, axis=0)]
        print_row(["mean", kind, "", "", *cells])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("data", nargs="?", help="aclImdb_v1.tar.gz, what it unpacks to, or 'download'")
    add("--source", default="mini", help="the ELMo model, or 'random' for random weights")
    add(
        "--limit",
        type=int,
        default=200,
        help="occurrences per sense (default: %(default)s)",
    )
    add("--seed", type=int, default=0, help="seed of the sample, k-means and weights")
    return parser.parse_args()


def make_layer(source: str, seed: int) -> ElmoEmbeddingLayer:
    """A layer that outputs all layers; random weights have the shape of mini's."""
    if source != "random":
        return ElmoEmbeddingLayer(source, "layers", trainable=False)
    config = ElmoEmbeddingLayer("mini").config
    assert config is not None
    keras.utils.set_random_seed(seed)
    return ElmoEmbeddingLayer(config, "layers", trainable=False)


def evaluate(
    layer: ElmoEmbeddingLayer, labeled: LabeledSet, names: Sequence[str], seed: int
) -> list[Agreement]:
    """How well two groups agree with the two senses, for each layer."""
    occurrences = [o for part in labeled.senses for o in part]
    senses = np.repeat([0, 1], [len(part) for part in labeled.senses])  # (n,)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        vectors = word_vectors(layer, occurrences, path, progress=False)
    found = []
    for name in names:
        directions = to_directions(of_layer(vectors, name))  # (n, components)
        found.append(agreement(senses, cluster(directions, 2, seed)))
    return found


def print_row(cells: Sequence[str]) -> None:
    name, kind, *numbers = cells
    widths = (6, 9, *[13] * (len(numbers) - 2))
    padded = (f"{cell:>{width}}" for cell, width in zip(numbers, widths, strict=True))
    print(f"{name:<29}{kind:<11}{''.join(padded)}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
