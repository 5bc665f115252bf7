"""The vectors of a word's occurrences, and groups of similar ones among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from word_senses_text import Occurrence

from keras_elmo import compute_features

# Fewer directions are faster to cluster in, and the others hold little of the variance.
N_DIRECTIONS = 30
N_STARTS = 10  # of k-means, of which the best result counts
# Vectors that differ by no more than rounding to float16, relative to their length.
ROUNDING = 2e-3

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]


class Agreement(NamedTuple):
    """How well clusters and senses agree.

    Attributes:
        purity: The share of occurrences whose sense is the most frequent one of their
            cluster.
        majority: The share of the most frequent sense, which is the purity of a single
            cluster.
        rand_index: The adjusted Rand index of Hubert and Arabie (1985): 1 for the same
            partition, 0 on average for chance.
    """

    purity: float
    majority: float
    rand_index: float


def word_vectors(
    source: Any, occurrences: Sequence[Occurrence], path: Path, progress: bool = True
) -> Floats:
    """Embeds sentences into a file, and takes a word's vectors from there.

    Args:
        source: As for :func:`keras_elmo.compute_features`.
        occurrences: The word in its sentences.
        path: The HDF5 file, in which an interrupted run goes on and that a complete one
            opens.
        progress: Whether to show a progress bar.

    Returns:
        All layers of each occurrence, (n, n_layers + 1, D).

    Raises:
        SourceError: The source cannot be had.
        ValueError: The file is of something else.
        OSError: The file cannot be written.
    """
    # A word may occur twice in a sentence.
    rows = {tokens: i for i, tokens in enumerate(dict.fromkeys(o[0] for o in occurrences))}
    corpus = [" ".join(tokens) for tokens in rows]
    # float16 halves the file; the clusters do not need more than its three digits.
    with compute_features(source, corpus, path, dtype="float16", progress=progress) as file:
        vectors = [file[rows[tokens]][i] for tokens, i in occurrences]
    return np.stack(vectors).astype(np.float32)  # (n, n_layers + 1, D)


def of_layer(vectors: Floats, layer: str) -> Floats:
    """Chooses among layers.

    Args:
        vectors: All layers, (n, n_layers + 1, D).
        layer: ``"top"``, ``"average"``, ``"all"`` one beside the other, or the number of
            one, ``"0"`` being that of the characters, without context.

    Returns:
        (n, features).

    Raises:
        ValueError: There is no such layer.
    """
    n_layers = vectors.shape[1]
    if layer == "average":
        return vectors.mean(axis=1)  # (n, D)
    if layer == "all":
        return vectors.reshape(len(vectors), -1)  # (n, (n_layers + 1) * D)
    if layer == "top":
        return vectors[:, -1]  # (n, D)
    if not layer.isdecimal() or int(layer) >= n_layers:
        raise ValueError(
            f"must be top, average, all, or a number from 0 to {n_layers - 1}; "
            f"got {layer!r}"
        )
    return vectors[:, int(layer)]  # (n, D)


def to_directions(vectors: Floats) -> Floats:
    """Where vectors lie, seen from their mean: k-means then compares angles.

    Args:
        vectors: (n, features).

    Returns:
        Their first principal components, scaled to length 1, (n, components); zeros where
        all vectors are the same.
    """
    from sklearn.decomposition import PCA

    centred = vectors - vectors.mean(axis=0)  # (n, features)
    if np.abs(centred).max() <= ROUNDING * np.abs(vectors).max():
        return np.zeros((len(vectors), 1), np.float32)
    n_directions = min(N_DIRECTIONS, *centred.shape)
    components = PCA(n_directions, random_state=0).fit_transform(centred)
    lengths = np.linalg.norm(components, axis=1, keepdims=True)  # (n, 1)
    return components / np.maximum(lengths, 1e-12)  # (n, components)


def cluster(directions: Floats, n_clusters: int, seed: int = 0) -> Integers:
    """Groups vectors by k-means.

    Args:
        directions: (n, components), as :func:`to_directions` gives them.
        n_clusters: How many groups; there are fewer where fewer vectors differ.
        seed: The same seed gives the same groups.

    Returns:
        The cluster of each, (n,), 0 for the largest one.
    """
    from sklearn.cluster import KMeans

    n_clusters = min(n_clusters, len(np.unique(directions, axis=0)))
    kmeans = KMeans(n_clusters, n_init=N_STARTS, random_state=seed)
    found = kmeans.fit_predict(directions)  # (n,)
    sizes = np.bincount(found, minlength=n_clusters)  # (clusters,)
    places = np.argsort(np.argsort(-sizes, kind="stable"))  # (clusters,)
    return places[found]


def typical(directions: Floats, clusters: Integers, index: int) -> list[int]:
    """The occurrences of a cluster, those nearest to its centre first."""
    members = np.flatnonzero(clusters == index)  # (members,)
    centre = directions[members].mean(axis=0)  # (components,)
    distances = np.linalg.norm(directions[members] - centre, axis=1)  # (members,)
    return [int(i) for i in members[np.argsort(distances, kind="stable")]]


def nearest(directions: Floats, index: int) -> list[tuple[int, float]]:
    """The other occurrences with their cosine similarity to one, most similar first."""
    cosines = directions @ directions[index]  # (n,)
    order = np.argsort(-cosines, kind="stable")
    return [(int(i), float(cosines[i])) for i in order if i != index]


def agreement(senses: Integers, clusters: Integers) -> Agreement:
    """Compares clusters with known senses.

    Args:
        senses: The sense of each occurrence, a number from 0 on, (n,).
        clusters: Its cluster, (n,).

    Returns:
        How well they agree.
    """
    from sklearn.metrics import adjusted_rand_score

    counts = np.zeros((clusters.max() + 1, senses.max() + 1), int)  # (clusters, senses)
    np.add.at(counts, (clusters, senses), 1)
    return Agreement(
        purity=float(counts.max(axis=1).sum() / len(senses)),
        majority=float(counts.sum(axis=0).max() / len(senses)),
        rand_index=float(adjusted_rand_score(senses, clusters)),
    )
