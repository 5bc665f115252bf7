"""Measures text similarity by the cosine of ELMo's pooled layers, and shows its pitfall.

Film reviews are cut in two, and each first half looks for its second half among those of
100 reviews. The program prints how often each layer finds it, with the vectors as they are
and without their common components, and how often the words that the halves share find
it. Then it prints the sentences of the reviews that are nearest to yours, and draws a
picture::

    python examples/similar_texts/compare_halves.py --data download "The music is lovely."

Without ``--data`` it uses the few reviews that come with keras-elmo.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from halves import (
    Floats,
    Halves,
    Pair,
    Retrieval,
    half_features,
    make_parser,
    plot,
    print_table,
    read_halves,
    retrieval,
    sentences_of,
    similarities,
    tfidf,
    tfidf_similarities,
)
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_similarity

from keras_elmo import ElmoEmbeddingLayer, compute_features

SENTENCES = (
    "The acting is terrible.",
    "I laughed from the beginning to the end.",
    "A soldier comes home from the war.",
)
N_COMPONENTS = 5  # the most that are removed
N_NEAREST = 3

Way = tuple[str, int | None]
"""A layer, and the components to remove with the mean; ``None`` also keeps the mean."""


def main() -> None:
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("sentences", nargs="*", help="find similar ones in the reviews")
    args = parser.parse_args()
    reference, test = read_halves(args)
    layer = ElmoEmbeddingLayer(args.source, "pooled_layers", split="words", trainable=False)
    args.output.mkdir(parents=True, exist_ok=True)
    known = half_features(layer, reference, args.output / "reference.npy")
    pooled = half_features(layer, test, args.output / "test.npy")
    print(f"{len(known[0]):,} reviews for reference, {len(pooled[0]):,} to test with")

    results = measured(known, pooled)
    by_words = tfidf_similarities(test, reference)
    unnamed = tfidf_similarities(without_capitals(test), without_capitals(reference))
    rows = {name_of(way): found for way, found in results.items()}
    rows["TF-IDF"] = retrieval(by_words)
    rows["TF-IDF, no words with capitals"] = retrieval(unnamed)
    print_table(rows)

    # The reference reviews select the way, so that the test reviews do not have to.
    choice = measured(known, known)
    best = max(choice, key=lambda way: choice[way].reciprocal_rank)
    print(f"Best on the reference reviews: {name_of(best)}")

    candidates = sentences_of(test)
    features = compute_features(layer, candidates, args.output / "sentences.npy")
    pooled_candidates = np.asarray(features)  # (candidates, n_layers + 1, D)
    asked = args.sentences or SENTENCES
    pooled_asked = layer(keras.ops.convert_to_tensor(asked))  # (asked, n_layers + 1, D)
    both = (keras.ops.convert_to_numpy(pooled_asked), pooled_candidates)
    words = tfidf([*reference.first, *reference.second, *candidates]).transform
    near = {
        "ELMo": cosine_similarity(*changed(known, both, best)),
        "TF-IDF": cosine_similarity(words(asked), words(candidates)),
    }  # (asked, candidates) each
    print_nearest(asked, candidates, near)

    ways: list[Way] = [(best[0], None), (best[0], 0)]
    panels = {name_of(way): similarities(*changed(known, pooled, way)) for way in ways}
    plot({**panels, "TF-IDF": by_words}, args.output / "similarities.png")
    print(f"Wrote {args.output / 'similarities.png'}")


def measured(known: Pair, pooled: Pair) -> dict[Way, Retrieval]:
    """The retrieval of halves in each way; ``known`` are the reference reviews."""
    names = [*map(str, range(pooled[0].shape[1])), "average"]
    ways: list[Way] = [(name, n) for name in names for n in (None, 0, 1, N_COMPONENTS)]
    return {way: retrieval(similarities(*changed(known, pooled, way))) for way in ways}


def changed(known: Pair, pooled: Pair, way: Way) -> Pair:
    """A layer's vectors, (m, D) each, without the components common to the reference texts.

    This improves word vectors as measures of meaning (Mu, Viswanath 2018, "All-but-the-
    top"), and leaving out the first component improves sentence vectors (Arora, Liang, Ma
    2017, "A simple but tough-to-beat baseline for sentence embeddings").
    """
    layer, n_components = way
    first, second = (of_layer(part, layer) for part in pooled)
    if n_components is None:
        return first, second
    reference = np.concatenate([of_layer(part, layer) for part in known])
    pca = PCA(n_components, svd_solver="covariance_eigh").fit(reference)
    directions = pca.components_  # (n_components, D)
    first, second = first - pca.mean_, second - pca.mean_
    return (
        first - first @ directions.T @ directions,
        second - second @ directions.T @ directions,
    )


def of_layer(pooled: Floats, layer: str) -> Floats:
    """One of the layers (n, n_layers + 1, D), or their average: the mix of a new layer."""
    return pooled.mean(axis=1) if layer == "average" else pooled[:, int(layer)]  # (n, D)


def name_of(way: Way) -> str:
    name, n_components = way
    layer = f"layer {name}" if name.isdecimal() else name
    if n_components is None:
        return layer
    if n_components == 0:
        return f"{layer}, without the mean"
    plural = "s" if n_components > 1 else ""
    return f"{layer}, without the mean and {n_components} component{plural}"


def without_capitals(halves: Halves) -> Halves:
    """Without the capitalized tokens: no names are left."""
    first, second = (
        [" ".join(t for t in text.split() if not t[0].isupper()) for text in part]
        for part in halves
    )
    return Halves(first, second)


def print_nearest(
    asked: Sequence[str], candidates: Sequence[str], near: dict[str, Floats]
) -> None:
    for i, sentence in enumerate(asked):
        print(f"\nNearest to: {sentence}")
        for name, cosines in near.items():
            for j in np.argsort(-cosines[i], kind="stable")[:N_NEAREST]:
                print(f"  {name:<7}{cosines[i, j]:>5.2f}  {candidates[j]}")
    print()


if __name__ == "__main__":
    main()
