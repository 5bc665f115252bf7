"""Groups the occurrences of a word in film reviews by their vectors, to find its senses.

The program finds the sentences of the IMDB reviews that contain the word, writes their
vectors to a file (an interrupted run resumes), and groups the word's vectors by k-means. It
prints typical occurrences of each group and those nearest to a chosen one, and draws a
picture::

    python examples/word_senses/group_senses.py like --data download

Without ``--data`` it uses the few reviews that come with keras-elmo.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from clusters import (
    Floats,
    Integers,
    cluster,
    nearest,
    of_layer,
    to_directions,
    typical,
    word_vectors,
)
from occurrences import Occurrence, characteristic, find_occurrences, read_sentences, sample
from sklearn.decomposition import PCA

from keras_elmo import ElmoEmbeddingLayer

N_TYPICAL = 5
N_NEAREST = 5
N_NEIGHBORS = 6  # words on each side that are printed for a cluster
N_LABELS = 3  # of each cluster in the picture
CONTEXT = 7  # tokens on each side in the printed text
LABEL_CONTEXT = 4  # and in the picture


def main() -> None:
    args = parse_arguments()
    sentences = read_sentences(args.data)
    found = find_occurrences(sentences, args.word)
    print(f"{args.word!r} occurs {len(found):,} times in {len(sentences):,} sentences.")
    occurrences = sample(found, args.limit, args.seed)
    if len(occurrences) < max(args.clusters, 3):
        raise SystemExit(
            "Too few occurrences. Choose another word, or more reviews (--data)."
        )

    layer = ElmoEmbeddingLayer(args.source, "layers", trainable=False)
    args.output.mkdir(parents=True, exist_ok=True)
    layers = word_vectors(layer, occurrences, args.output / f"{args.word}.npy")
    vectors = of_layer(layers, args.layer)  # (n, features)
    directions = to_directions(vectors)  # (n, components)
    clusters = cluster(directions, args.clusters, args.seed)  # (n,)
    members = [typical(directions, clusters, i) for i in range(clusters.max() + 1)]

    for index, inside in enumerate(members):
        print(f"\nCluster {index + 1}: {len(inside):,} occurrences ", end="")
        print(f"({len(inside) / len(occurrences):.0%})")
        print_cluster(occurrences, inside)
    chosen = members[0][0] if args.occurrence is None else args.occurrence
    cluster_of = clusters + 1
    print(f"\nNearest to #{chosen} (cluster {cluster_of[chosen]}), by cosine similarity:")
    print(f"        {occurrences[chosen].context(CONTEXT)}")
    for i, cosine in nearest(directions, chosen)[:N_NEAREST]:
        context = occurrences[i].context(CONTEXT)
        print(f"  {cosine:.2f}  {context} (#{i}, {cluster_of[i]})")

    picture = args.output / f"{args.word}.png"
    labels = {
        i: occurrences[i].context(LABEL_CONTEXT)
        for inside in members
        for i in inside[:N_LABELS]
    }
    title = f'"{args.word}": {len(occurrences):,} occurrences in film reviews'
    plot(vectors, clusters, labels, title, picture)
    print(f"\nWrote {picture}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("word", nargs="?", default="like", help="the word; case matters")
    add("--data", help="aclImdb_v1.tar.gz, the directory it unpacks to, or 'download'")
    add("--source", default="mini", help="the ELMo model")
    add("--layer", default="top", help="top, average, all, or a number")
    add("--clusters", type=int, default=2, help="groups to make")
    add("--limit", type=int, default=1000, help="most occurrences to use")
    add("--seed", type=int, default=0, help="seed of the sample and of k-means")
    add("--occurrence", type=int, help="print those nearest to this number's")
    add("--output", type=Path, default=Path("word_senses_output"), metavar="DIR")
    return parser.parse_args()


def print_cluster(occurrences: Sequence[Occurrence], members: Sequence[int]) -> None:
    """Prints a cluster's neighbors on the left and right, and typical occurrences."""
    inside = [occurrences[i] for i in members]
    outside = [o for i, o in enumerate(occurrences) if i not in set(members)]
    for side, offset in (("left", -1), ("right", 1)):
        words = characteristic(inside, outside or inside, offset, N_NEIGHBORS)
        shares = ", ".join(f"{word} {a:.0%} ({b:.0%})" for word, a, b in words)
        print(f"  on the {side}, here (and elsewhere): {shares or 'the same as elsewhere'}")
    for i in members[:N_TYPICAL]:
        print(f"  #{i}: {occurrences[i].context(CONTEXT)}")


def plot(
    vectors: Floats, clusters: Integers, labels: Mapping[int, str], title: str, path: Path
) -> None:
    """Draws the first two principal components, with some contexts on the right."""
    pca = PCA(2).fit(vectors)
    points = pca.transform(vectors)  # (n, 2)
    figure, axes = plt.subplots(figsize=(11, 5.5), layout="constrained")
    for index, size in enumerate(np.bincount(clusters)):
        x, y = points[clusters == index].T
        name = f"cluster {index + 1} ({size:,})"
        axes.scatter(x, y, s=10, alpha=0.5, lw=0, color=f"C{index}", label=name)
    # Evenly spaced, in the order of their points.
    order = sorted(labels, key=lambda i: -points[i, 1])
    for i, height in zip(order, np.linspace(0.97, 0.03, len(order)), strict=True):
        color = f"C{clusters[i]}"
        axes.scatter(*points[i], s=30, color=color, edgecolor="black", lw=0.8)
        axes.annotate(
            labels[i],
            points[i],
            (1.02, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=color,
            parse_math=False,  # prices are not formulas
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), "color": "gray", "lw": 0.4},
        )
    first, second = pca.explained_variance_ratio_
    axes.set_xlabel(f"first principal component ({first:.0%} of the variance)")
    axes.set_ylabel(f"second principal component ({second:.0%})")
    axes.legend(loc="upper left", markerscale=2)
    axes.set_title(title)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
