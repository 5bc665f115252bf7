"""The senses of a word: how its vectors in film reviews fall into groups.

Finds the sentences of the IMDB reviews that have a word, embeds them into a file, in which
an interrupted run goes on, and groups the word's vectors by k-means. It prints what is
typical of each group and what is next to one occurrence, and draws a picture::

    python examples/word_senses.py like --data aclImdb_v1.tar.gz

Without ``--data`` it takes the few reviews that come with keras-elmo.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from arguments import blaming, integer_from, require
from imdb_data import DataError
from word_senses_clusters import (
    Floats,
    Integers,
    cluster,
    nearest,
    of_layer,
    to_directions,
    typical,
    word_vectors,
)
from word_senses_plot import plot
from word_senses_text import (
    Occurrence,
    characteristic,
    find_occurrences,
    read_sentences,
    sample,
)

from keras_elmo import SourceError, tokenize

LEAST = 3  # occurrences
N_TYPICAL = 5
N_NEAREST = 5
N_NEIGHBOURS = 6  # words on each side that are told of a cluster
N_LABELS = 3  # of each cluster in the picture
CONTEXT = 7  # tokens on each side in what is printed
LABEL_CONTEXT = 4  # and in the picture


def main(argv: Sequence[str] | None = None) -> int:
    """Groups the occurrences of a word, prints and draws the groups.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    require(parser, "sklearn", "matplotlib")
    with blaming(parser, "--data", DataError, OSError):
        sentences = read_sentences(args.data)
    found = find_occurrences(sentences, args.word)
    print(f"{args.word!r} occurs {len(found):,} times in {len(sentences):,} sentences.")
    occurrences = sample(found, args.limit, args.seed)
    n_least = max(args.clusters, LEAST)
    if len(occurrences) < n_least:
        parser.error(
            f"argument WORD: {args.clusters} clusters and a picture need {n_least} "
            f"occurrences; there are {len(occurrences)}. Choose another word, more reviews "
            "(--data) or a higher --limit."
        )
    if args.occurrence is not None and args.occurrence >= len(occurrences):
        parser.error(
            f"argument --occurrence: the last of {len(occurrences)} occurrences is "
            f"{len(occurrences) - 1}"
        )
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        path = args.output / f"{args.word}.hdf5"
        layers = word_vectors(args.source, occurrences, path)  # (n, n_layers + 1, D)
    except SourceError as error:
        parser.error(f"argument --source: {error}")
    except (ValueError, OSError) as error:
        parser.error(f"argument --output: {error}")
    with blaming(parser, "--layer", ValueError):
        vectors = of_layer(layers, args.layer)  # (n, features)
    directions = to_directions(vectors)  # (n, components)
    clusters = cluster(directions, args.clusters, args.seed)  # (n,)
    print_clusters(occurrences, directions, clusters)
    chosen = args.occurrence
    if chosen is None:
        chosen = typical(directions, clusters, 0)[0]
    print_nearest(occurrences, directions, clusters, chosen)
    target = args.plot or args.output / f"{args.word}.png"
    with blaming(parser, "--plot", OSError):
        draw(args.word, occurrences, vectors, directions, clusters, target)
    print(f"\nWrote {path}\nWrote {target}")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Group the occurrences of a word in film reviews by their ELMo vectors."
    )
    add = parser.add_argument
    add(
        "word",
        nargs="?",
        type=_word,
        default="like",
        metavar="WORD",
        help="the word, with its capitals (default: %(default)s)",
    )
    add(
        "--data",
        metavar="PATH",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB); without it, the few reviews that come with keras-elmo",
    )
    add(
        "--source",
        default="mini",
        help="the ELMo model, as compute_features takes it (default: %(default)s)",
    )
    add(
        "--layer",
        default="top",
        help="top, average, all, or a number: 0 for the characters, which do not depend "
        "on context (default: %(default)s)",
    )
    add(
        "--clusters",
        type=integer_from(1),
        default=2,
        metavar="N",
        help="how many groups to make (default: %(default)s)",
    )
    add(
        "--limit",
        type=integer_from(1),
        default=1000,
        metavar="N",
        help="at most N occurrences, chosen at random (default: %(default)s); with mini, "
        "1000 make a file of some 80 MB",
    )
    add("--seed", type=integer_from(0), default=0, help="of that choice, and of k-means")
    add(
        "--occurrence",
        type=integer_from(0),
        metavar="N",
        help="print the nearest neighbours of the occurrence with this number (default: "
        "the most typical one of the first cluster)",
    )
    add(
        "--output",
        type=Path,
        default=Path("word_senses_output"),
        metavar="DIR",
        help="where the vectors go, to WORD.hdf5 (default: %(default)s)",
    )
    add(
        "--plot",
        type=_png,
        metavar="FILE",
        help="the picture, a PNG file (default: WORD.png beside the vectors)",
    )
    return parser


def _word(text: str) -> str:
    if tokenize(text) != [text] or not text[0].isalnum():
        raise argparse.ArgumentTypeError(f"must be a single word, not {text!r}")
    return text


def _png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"must end in .png; got {text!r}")
    return Path(text)


def print_clusters(
    occurrences: Sequence[Occurrence], directions: Floats, clusters: Integers
) -> None:
    """Prints each cluster's neighbours on the left and right, and typical occurrences."""
    for index in range(clusters.max() + 1):
        members = typical(directions, clusters, index)
        share = len(members) / len(occurrences)
        print(f"\nCluster {index + 1}: {len(members):,} occurrences ({share:.0%})")
        inside = [occurrences[i] for i in members]
        outside = [o for o, c in zip(occurrences, clusters, strict=True) if c != index]
        for side, offset in (("left", -1), ("right", 1)):
            words = characteristic(inside, outside or inside, offset, N_NEIGHBOURS)
            told = ", ".join(f"{word} {a:.0%} ({b:.0%})" for word, a, b in words)
            print(
                f"  on the {side}, here (and elsewhere): {told or 'the same as elsewhere'}"
            )
        for i in members[:N_TYPICAL]:
            print(f"  #{i}: {occurrences[i].context(CONTEXT)}")


def print_nearest(
    occurrences: Sequence[Occurrence], directions: Floats, clusters: Integers, chosen: int
) -> None:
    """Prints an occurrence and those with the most similar vectors."""
    cluster_of = clusters + 1
    print(f"\nNearest to #{chosen} (cluster {cluster_of[chosen]}), by cosine similarity:")
    print(f"        {occurrences[chosen].context(CONTEXT)}")
    for i, cosine in nearest(directions, chosen)[:N_NEAREST]:
        print(f"  {cosine:.2f}  {occurrences[i].context(CONTEXT)} (#{i}, {cluster_of[i]})")


def draw(
    word: str,
    occurrences: Sequence[Occurrence],
    vectors: Floats,
    directions: Floats,
    clusters: Integers,
    path: Path,
) -> None:
    """Draws the vectors, with the most typical contexts of each cluster."""
    names: list[str] = []
    labels: dict[int, str] = {}
    for index in range(clusters.max() + 1):
        members = typical(directions, clusters, index)
        names.append(f"cluster {index + 1} ({len(members):,})")
        labels |= {i: occurrences[i].context(LABEL_CONTEXT) for i in members[:N_LABELS]}
    title = f'"{word}": {len(occurrences):,} occurrences in film reviews'
    plot(vectors, clusters, names, labels, title, path)


if __name__ == "__main__":
    raise SystemExit(main())
