"""A picture of the vectors of a word, coloured by cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from word_senses_clusters import Floats, Integers


def plot(
    vectors: Floats,
    clusters: Integers,
    names: Sequence[str],
    labels: Mapping[int, str],
    title: str,
    path: Path,
) -> None:
    """Draws the first two principal components.

    Args:
        vectors: (n, features).
        clusters: The cluster of each, (n,).
        names: What the clusters are called in the legend.
        labels: The contexts to write down, by the indices of their vectors.
        title: Stands above the picture.
        path: The PNG file to write.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    centred = vectors - vectors.mean(axis=0)  # (n, features)
    _, scales, components = np.linalg.svd(centred, full_matrices=False)
    points = centred @ components[:2].T  # (n, 2)
    # Without context all vectors are the same, and have no variance.
    shares = scales[:2] ** 2 / max(np.sum(scales**2), 1e-12)
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    axes = figure.subplots()
    for index, name in enumerate(names):
        members = points[clusters == index]  # (members, 2)
        x, y = members.T
        axes.scatter(x, y, s=10, alpha=0.5, lw=0, color=f"C{index}", label=name)
    _write_labels(axes, points, clusters, labels)
    axes.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"second principal component ({shares[1]:.0%})")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, markerscale=2)
    figure.suptitle(title)
    figure.savefig(path, format="png", dpi=100)


def _write_labels(
    axes: Any, points: Floats, clusters: Integers, labels: Mapping[int, str]
) -> None:
    """Writes labels on the right, evenly and in the order of their points."""
    order = sorted(labels, key=lambda i: -points[i, 1])
    for i, height in zip(order, np.linspace(0.97, 0.03, len(order)), strict=True):
        color = f"C{clusters[i]}"
        x, y = points[i]
        axes.scatter(x, y, s=30, color=color, edgecolor="black", lw=0.8)
        axes.annotate(
            labels[i],
            points[i],
            (1.02, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=color,
            parse_math=False,  # prices are no formulas
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), "color": "gray", "lw": 0.4},
        )
