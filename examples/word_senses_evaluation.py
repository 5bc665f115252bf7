"""Do the clusters of word_senses.py find senses? A table of how well they agree.

Real words are labelled by a word beside them: "like" behind "would" is a verb, behind
"looks" a preposition. That word, the cue, is in the sentence and thus in the vectors, so
each set is embedded once more with the cue hidden, a made-up word in its place: what is
found then, is found in the rest of the sentence. Made-up words need no labels: two words
are replaced by the same one, and the clusters should tell which was which::

    python examples/word_senses_evaluation.py aclImdb_v1.tar.gz
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from arguments import blaming, integer_from, require
from imdb_data import DataError
from word_senses_clusters import (
    Agreement,
    agreement,
    cluster,
    of_layer,
    to_directions,
    word_vectors,
)
from word_senses_rules import LabelledSet, labelled_sets
from word_senses_text import read_sentences

from keras_elmo import ElmoEmbeddingLayer, SourceError

RANDOM = "random"
WIDTHS = (29, 11, 6, 9)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    require(parser, "sklearn", "matplotlib")
    with blaming(parser, "--source", SourceError):
        layer = make_layer(args.source, args.seed)
    with blaming(parser, "DATA", DataError, OSError):
        sentences = read_sentences(args.data)
    layers = [*map(str, range(layer.n_layers + 1)), "average", "all"]
    columns = [f"layer {name}" if name.isdecimal() else name for name in layers]
    print("Adjusted Rand index, and (purity); the majority is the purity of one cluster.")
    print_row(["", "", "n", "majority", *columns])
    means: dict[str, list[list[float]]] = {}
    for labelled in labelled_sets(sentences, args.limit, args.seed):
        found = evaluate(layer, labelled, layers, args.seed)
        n = sum(map(len, labelled.senses))
        cells = [f"{a.rand_index:.2f} ({a.purity:.2f})" for a in found]
        majority = f"{found[0].majority:.2f}"
        print_row([labelled.name, labelled.kind, str(n), majority, *cells])
        means.setdefault(labelled.kind, []).append([a.rand_index for a in found])
    for kind, rows in means.items():
        cells = [f"{value:.3f}" for value in np.mean(rows, axis=0)]
        print_row(["mean", kind, "", "", *cells])
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Print how well clusters of ELMo's vectors agree with senses."
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB)",
    )
    parser.add_argument(
        "--source",
        default="mini",
        help=f"the ELMo model (default: %(default)s), or {RANDOM!r} for one of mini's "
        "shape with random weights",
    )
    parser.add_argument(
        "--limit",
        type=integer_from(2),
        default=200,
        metavar="N",
        help="at most N occurrences of each sense (default: %(default)s)",
    )
    parser.add_argument("--seed", type=integer_from(0), default=0)
    return parser


def make_layer(source: str, seed: int) -> ElmoEmbeddingLayer:
    """Makes the layer to evaluate.

    Args:
        source: As ``--source``.
        seed: Of random weights.

    Returns:
        A layer with all layers as outputs.

    Raises:
        SourceError: The source cannot be had.
    """
    if source != RANDOM:
        return ElmoEmbeddingLayer(source, "layers", trainable=False)
    config = ElmoEmbeddingLayer("mini").config
    keras.utils.set_random_seed(seed)
    assert config is not None
    return ElmoEmbeddingLayer(config, "layers", trainable=False)


def evaluate(
    layer: ElmoEmbeddingLayer, labelled: LabelledSet, layers: Sequence[str], seed: int
) -> list[Agreement]:
    """Clusters the occurrences of a word, as many clusters as it has senses.

    Args:
        layer: The model.
        labelled: The occurrences.
        layers: As for :func:`word_senses_clusters.of_layer`.
        seed: Of k-means.

    Returns:
        How well clusters and senses agree, for each of ``layers``.
    """
    occurrences = [o for part in labelled.senses for o in part]
    senses = np.repeat([0, 1], [len(part) for part in labelled.senses])  # (n,)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.hdf5"
        vectors = word_vectors(layer, occurrences, path, progress=False)
    found = []
    for name in layers:
        directions = to_directions(of_layer(vectors, name))  # (n, components)
        found.append(agreement(senses, cluster(directions, 2, seed)))
    return found


def print_row(cells: Sequence[str]) -> None:
    """Prints a line of the table."""
    widths = [*WIDTHS, *[13] * (len(cells) - len(WIDTHS))]
    padded = [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    print("".join(padded).rstrip(), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
