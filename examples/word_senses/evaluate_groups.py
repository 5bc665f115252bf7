"""Do the groups of group_senses.py find senses? A table of how well they agree.

Real words are labelled by a word next to them: "like" after "would" is a verb, after
"looks" a preposition. That word, the cue, is in the sentence and thus in the vectors, so
each set is embedded once more with the cue hidden, a made-up word in its place: what is
found then, is found in the rest of the sentence. Made-up words need no labels: two words
are replaced by the same one, and the groups should find out which was which::

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
from sense_rules import LabelledSet, labelled_sets

from keras_elmo import ElmoEmbeddingLayer


def main() -> None:
    args = parse_arguments()
    layer = make_layer(args.source, args.seed)
    sentences = read_sentences(args.data)
    names = [*map(str, range(layer.n_layers + 1)), "average", "all"]
    print("Adjusted Rand index, and (purity); the majority is the purity of one group.")
    columns = [f"layer {name}" if name.isdecimal() else name for name in names]
    print_row(["", "", "n", "majority", *columns])
    means: dict[str, list[list[float]]] = {}
    for labelled in labelled_sets(sentences, args.limit, args.seed):
        found = evaluate(layer, labelled, names, args.seed)
        n = sum(map(len, labelled.senses))
        cells = [f"{a.rand_index:.2f} ({a.purity:.2f})" for a in found]
        majority = f"{found[0].majority:.2f}"
        print_row([labelled.name, labelled.kind, f"{n}", majority, *cells])
        means.setdefault(labelled.kind, []).append([a.rand_index for a in found])
    for kind, rows in means.items():
        cells = [f"{value:.3f}" for value in np.mean(rows, axis=0)]
        print_row(["mean", kind, "", "", *cells])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("data", nargs="?", help="aclImdb_v1.tar.gz, what it unpacks to, or 'download'")
    add("--source", default="mini", help="the ELMo model, or 'random' for random weights")
    add("--limit", type=int, default=200, help="of each sense (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the choice, of k-means and random weights")
    return parser.parse_args()


def make_layer(source: str, seed: int) -> ElmoEmbeddingLayer:
    """With all layers as outputs; random weights have the shape of mini's."""
    if source != "random":
        return ElmoEmbeddingLayer(source, "layers", trainable=False)
    config = ElmoEmbeddingLayer("mini").config
    assert config is not None
    keras.utils.set_random_seed(seed)
    return ElmoEmbeddingLayer(config, "layers", trainable=False)


def evaluate(
    layer: ElmoEmbeddingLayer, labelled: LabelledSet, names: Sequence[str], seed: int
) -> list[Agreement]:
    """How well two groups agree with the two senses, for each of the layers."""
    occurrences = [o for part in labelled.senses for o in part]
    senses = np.repeat([0, 1], [len(part) for part in labelled.senses])  # (n,)
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
