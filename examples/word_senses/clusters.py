"""Vectors of a word's occurrences, and clusters of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from occurrences import Occurrence
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.preprocessing import normalize

from keras_elmo import ElmoEmbeddingLayer, compute_features

# Clustering is faster in few directions, and the others hold little of the variance.
N_DIRECTIONS = 30
N_STARTS = 10  # of k-means; the best result is used
# Relative differences up to this size can come from rounding to float16.
ROUNDING = 2e-3

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]


class Agreement(NamedTuple):
    """How well clusters and senses agree."""

    purity: float  # share of occurrences with the most frequent sense of their cluster
    majority: float  # share of the most frequent sense: the purity of a single cluster
    rand_index: float  # adjusted (Hubert, Arabie 1985): on average 0 by chance, at most 1


def word_vectors(
    layer: ElmoEmbeddingLayer,
    occurrences: Sequence[Occurrence],
    path: Path,
    progress: bool = True,
) -> Floats:
    """All layers of each occurrence, (n, n_layers + 1, D).

    ``path`` is the file of all token vectors; an interrupted run resumes there.
    """
    # A word can occur twice in a sentence.
    rows = {tokens: i for i, tokens in enumerate(dict.fromkeys(o[0] for o in occurrences))}
    texts = [" ".join(tokens) for tokens in rows]
    # float16 halves the file; its three digits suffice for the clusters.
    features = compute_features(layer, texts, path, dtype="float16", progress=progress)
    vectors = [features[rows[tokens]][i] for tokens, i in occurrences]
    return np.stack(vectors).astype(np.float32)  # (n, n_layers + 1, D)


def of_layer(vectors: Floats, layer: str) -> Floats:
    """Selects from layers (n, n_layers + 1, D): top, average, all, or a layer's number.

    Layer 0 is computed from the characters, without context.
    """
    if layer == "average":
        return vectors.mean(axis=1)  # (n, D)
    if layer == "all":
        return vectors.reshape(len(vectors), -1)  # (n, (n_layers + 1) * D)
    return vectors[:, -1 if layer == "top" else int(layer)]  # (n, D)


def to_directions(vectors: Floats) -> Floats:
    """The directions of vectors (n, features) from their mean, so that angles are compared.

    Returns their first principal components, scaled to length 1, (n, components), or zeros
    if all vectors are the same.
    """
    centered = vectors - vectors.mean(axis=0)  # (n, features)
    if np.abs(centered).max() <= ROUNDING * np.abs(vectors).max():
        return np.zeros((len(vectors), 1), np.float32)
    n_directions = min(N_DIRECTIONS, *centered.shape)
    return normalize(PCA(n_directions, random_state=0).fit_transform(centered))


def cluster(directions: Floats, n_clusters: int, seed: int = 0) -> Integers:
    """The cluster of each vector (n, components) by k-means; 0 is the largest cluster.

    There are fewer clusters if there are fewer distinct vectors.
    """
    n_clusters = min(n_clusters, len(np.unique(directions, axis=0)))
    kmeans = KMeans(n_clusters, n_init=N_STARTS, random_state=seed)
    found = kmeans.fit_predict(directions)  # (n,)
    sizes = np.bincount(found, minlength=n_clusters)  # (clusters,)
    places = np.argsort(np.argsort(-sizes, kind="stable"))  # (clusters,)
    return places[found]


def typical(directions: Floats, clusters: Integers, index: int) -> list[int]:
    """The occurrences of a cluster, nearest to its center first."""
    members = np.flatnonzero(clusters == index)  # (members,)
    center = directions[members].mean(axis=0)  # (components,)
    distances = np.linalg.norm(directions[members] - center, axis=1)  # (members,)
    return [int(i) for i in members[np.argsort(distances, kind="stable")]]


def nearest(directions: Floats, index: int) -> list[tuple[int, float]]:
    """The other occurrences and their cosine similarity to one, most similar first."""
    cosines = directions @ directions[index]  # (n,)
    order = np.argsort(-cosines, kind="stable")
    return [(int(i), float(cosines[i])) for i in order if i != index]


def agreement(senses: Integers, clusters: Integers) -> Agreement:
    """Compares clusters with known senses, both (n,)."""
    counts = contingency_matrix(senses, clusters)  # (senses, clusters)
    return Agreement(
        float(counts.max(axis=0).sum() / len(senses)),
        float(counts.sum(axis=1).max() / len(senses)),
        float(adjusted_rand_score(senses, clusters)),
    )
