"""Which texts are alike? Cosine similarities of ELMo's pooled layers, and their pitfall.

Film reviews are cut in two, and each first half looks for its second half among those of
100 reviews. The program prints how often it is found by the vectors of each layer, as they
are and without what all texts have in common, and by the words that both halves have. Then
it tells which sentences of the reviews are nearest to yours, and draws a picture::

    python examples/similar_texts.py --data aclImdb_v1.tar.gz "The music is lovely."

Without ``--data`` it takes the few reviews that come with keras-elmo.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from arguments import blaming, integer_from, not_empty, require
from imdb_data import DataError
from text_halves import Halves, Pair, half_features, read_halves, sentences_of
from text_halves_arguments import add_arguments
from text_retrieval import (
    Retrieval,
    cosines,
    print_table,
    retrieval,
    save_numbers,
    tfidf,
    tfidf_cosines,
)
from text_similarity_plot import plot
from text_vectors import Floats, common, of_layer, unit, without

from keras_elmo import ElmoEmbeddingLayer, SourceError, compute_features, tokenize

SENTENCES = (
    "The acting is terrible.",
    "I laughed from the beginning to the end.",
    "A soldier comes home from the war.",
)
N_NEAREST = 3

Way = tuple[str, int | None]
"""A layer, and how many components to take off besides the mean; ``None``: neither."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints what is near, and draws.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    # What can go wrong goes wrong here, before anything is computed.
    require(parser, "sklearn", "matplotlib")
    with blaming(parser, "--source", SourceError):
        layer = ElmoEmbeddingLayer(args.source, "pooled_layers", trainable=False)
    with blaming(parser, "--data", DataError, OSError):
        reference, test = read_halves(
            args.data, args.limit, args.test, args.words, args.seed
        )
    sentences = sentences_of(test, args.sentences)
    with blaming(parser, "--output", ValueError, OSError):
        args.output.mkdir(parents=True, exist_ok=True)
        known = half_features(layer, reference, args.output / "reference.npy")
        pooled = half_features(layer, test, args.output / "test.npy")
        candidates = compute_features(layer, sentences, args.output / "sentences.npy")
    print(f"{len(known[0]):,} reviews for reference, {len(pooled[0]):,} to test with")
    by_words = tfidf_cosines(test, reference)
    unnamed = tfidf_cosines(test.without_capitals(), reference.without_capitals())
    results = measured(known, pooled, args.components)
    rows = {told(way): found for way, found in results.items()}
    rows["TF-IDF"] = retrieval(by_words)
    rows["TF-IDF, no words with capitals"] = retrieval(unnamed)
    print_table(rows)
    # The reference reviews choose the way, so that the test reviews need not.
    chosen = best_way(measured(known, known, args.components))
    print(f"Best on the reference reviews: {told(chosen)}")
    asked = [" ".join(tokenize(sentence)) for sentence in args.sentence or SENTENCES]
    asked_pooled = layer(keras.ops.convert_to_tensor(asked))  # (asked, n_layers + 1, D)
    vectors = (keras.ops.convert_to_numpy(asked_pooled), np.asarray(candidates))
    print_nearest(asked, sentences, similarities(known, vectors, chosen), reference)
    ways: list[Way] = [(chosen[0], None), (chosen[0], 0)]
    panels = {told(way): cosines(*changed(known, pooled, way)) for way in ways}
    panels["TF-IDF"] = by_words
    plot(panels, "Similarity of halves of film reviews", args.output / "similarities.png")
    save_numbers(rows, args.output / "similar_texts.json")
    for name in ("similarities.png", "similar_texts.json"):
        print(f"Wrote {args.output / name}")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Measure how well cosine similarities of ELMo's vectors find the other "
        "half of a film review, and find sentences like others."
    )
    add = parser.add_argument
    add(
        "sentence",
        nargs="*",
        type=not_empty,
        help="sentences to which the nearest ones in the test reviews are printed "
        "(default: three that come with the program)",
    )
    add(
        "--components",
        type=integer_from(2),
        default=5,
        metavar="N",
        help="try without the mean, without one principal component as well, and without "
        "N (default: %(default)s)",
    )
    add(
        "--sentences",
        type=integer_from(N_NEAREST),
        default=2000,
        metavar="N",
        help="at most N sentences to search (default: %(default)s)",
    )
    add_arguments(parser, "figures and picture")
    return parser


def changed(known: Pair, pooled: Pair, way: Way) -> Pair:
    """Chooses a layer, and takes off what the reference texts have in common.

    Args:
        known: The pooled layers of the reference texts, (n, n_layers + 1, D) each.
        pooled: Those of the texts to change, (m, n_layers + 1, D) and (k, ...).
        way: What to do.

    Returns:
        Vectors (m, D) and (k, D).
    """
    name, n_components = way
    first, second = (of_layer(part, name) for part in pooled)
    if n_components is None:
        return first, second
    shared = common(np.concatenate([of_layer(part, name) for part in known]), n_components)
    return without(first, shared), without(second, shared)


def similarities(known: Pair, pooled: Pair, way: Way) -> Floats:
    """Cosines (m, k) of all texts in the first part with all in the second."""
    first, second = map(unit, changed(known, pooled, way))
    return first @ second.T


def measured(known: Pair, pooled: Pair, n_components: int) -> dict[Way, Retrieval]:
    """Measures how well halves are found in each way.

    Args:
        known: The pooled layers of the reference halves.
        pooled: Those of the halves to measure with.
        n_components: The largest number of components to take off.

    Returns:
        The measures, layer by layer.
    """
    names = [*map(str, range(pooled[0].shape[1])), "average"]
    ways: list[Way] = [(name, n) for name in names for n in (None, 0, 1, n_components)]
    return {way: retrieval(cosines(*changed(known, pooled, way))) for way in ways}


def best_way(results: Mapping[Way, Retrieval]) -> Way:
    """The way with the highest mean reciprocal rank."""
    return max(results, key=lambda way: results[way].reciprocal_rank)


def told(way: Way) -> str:
    """A way in words."""
    name, n_components = way
    layer = f"layer {name}" if name.isdecimal() else name
    if n_components is None:
        return layer
    if n_components == 0:
        return f"{layer}, without the mean"
    components = "component" if n_components == 1 else "components"
    return f"{layer}, without the mean and {n_components} {components}"


def print_nearest(
    asked: Sequence[str], sentences: Sequence[str], near: Floats, reference: Halves
) -> None:
    """Prints the sentences nearest to others, by vectors and by words.

    Args:
        asked: The ones, tokens with spaces between.
        sentences: Those to search.
        near: Their similarities by vectors, (asked, sentences).
        reference: More texts, by which TF-IDF knows frequent words.
    """
    vectorizer = tfidf([*reference.first, *reference.second, *sentences])
    by_words = vectorizer.transform(asked) @ vectorizer.transform(sentences).T
    sides = {"ELMo": near, "TF-IDF": by_words.toarray()}
    for i, sentence in enumerate(asked):
        print(f"\nNearest to: {sentence}")
        for name, cosine in sides.items():
            for j in np.argsort(-cosine[i], kind="stable")[:N_NEAREST]:
                print(f"  {name:<7}{cosine[i, j]:>5.2f}  {sentences[j]}")
    print()


if __name__ == "__main__":
    raise SystemExit(main())
