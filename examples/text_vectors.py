"""Vectors of texts, without what all texts have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RIDGE = 0.1
"""What is added to covariances within texts, relative to their mean variance."""

Floats = NDArray[np.floating[Any]]


class Common(NamedTuple):
    """What vectors of texts have in common.

    Attributes:
        mean: (features,).
        components: The directions in which they vary most, of length 1 and at right
            angles to each other, (n, features).
    """

    mean: Floats
    components: Floats


def common(vectors: Floats, n_components: int) -> Common:
    """Finds the mean of vectors, and their first principal components.

    Args:
        vectors: Those of a reference set, (n, features).
        n_components: How many components to find; there are no more than features.

    Returns:
        Both, for :func:`without`.
    """
    mean = vectors.mean(axis=0)  # (features,)
    centred = vectors - mean  # (n, features)
    # In ascending order of the variance. This is faster than the centred vectors' SVD.
    _, directions = np.linalg.eigh(centred.T @ centred)  # (features, features)
    return Common(mean, directions.T[::-1][:n_components])


def without(vectors: Floats, shared: Common) -> Floats:
    """Takes off the mean, and what points into the directions of the components.

    Words' vectors became better measures of meaning by that (Mu, Viswanath 2018, "All-
    but-the-top"), as did sentences' vectors by leaving out the first component (Arora,
    Liang, Ma 2017, "A simple but tough-to-beat baseline for sentence embeddings").

    Args:
        vectors: (n, features).
        shared: What to take off; of a reference set.

    Returns:
        (n, features).
    """
    centred = vectors - shared.mean  # (n, features)
    return centred - centred @ shared.components.T @ shared.components


def discriminant(first: Floats, second: Floats, n_directions: int) -> Floats:
    """The directions in which texts differ, but not their halves.

    Linear discriminant analysis (Fisher 1936; Rao 1948), each text being a class of two:
    the covariance of the differences of halves becomes the identity, and of what is left
    the directions with the most variance are kept.

    Args:
        first: Vectors of first halves, (n, features).
        second: Those of the second halves of the same texts, (n, features).
        n_directions: How many to keep; there are no more than features.

    Returns:
        (features, directions), to multiply centred vectors by.
    """
    both = np.concatenate([first, second]).astype(np.float64)  # (2 * n, features)
    within = np.cov((first - second).T) / 2  # (features, features)
    # Few pairs do not know all directions.
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    variances, axes = np.linalg.eigh(within)
    whitening = axes / np.sqrt(np.maximum(variances, 1e-12))  # (features, features)
    white = (both - both.mean(axis=0)) @ whitening  # (2 * n, features)
    _, directions = np.linalg.eigh(white.T @ white)  # in ascending order
    return whitening @ directions[:, ::-1][:, :n_directions]


def unit(vectors: Floats) -> Floats:
    """Scales vectors (..., features) to length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)  # (..., 1)
    return vectors / np.maximum(lengths, 1e-12)  # (..., features)


def of_layer(pooled: Floats, layer: str) -> Floats:
    """Chooses among pooled layers (n, n_layers + 1, D).

    Args:
        pooled: The layers.
        layer: The number of one, ``"0"`` being that of the characters, or ``"average"``,
            the mix that a new layer begins with.

    Returns:
        (n, D).
    """
    return pooled.mean(axis=1) if layer == "average" else pooled[:, int(layer)]
