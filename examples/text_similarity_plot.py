"""A picture of similarities: of texts that belong together, and of others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from text_vectors import Floats

N_BINS = 50


def plot(panels: Mapping[str, Floats], title: str, path: Path) -> None:
    """Draws histograms.

    Args:
        panels: For each panel, by its title, the similarities of first and second halves,
            (groups, candidates, candidates), those that belong together on the diagonals.
        title: Stands above the picture.
        path: The PNG file to write.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    every_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, similarities) in zip(every_axes, panels.items(), strict=True):
        own = np.eye(similarities.shape[-1], dtype=bool)  # (candidates, candidates)
        kinds = {"of other reviews": ~own, "of the same review": own}
        bins = np.linspace(similarities.min(), similarities.max(), N_BINS + 1)
        for kind, chosen in kinds.items():
            values = similarities[:, chosen].ravel()  # (pairs,)
            shares = np.full(len(values), 1 / len(values))
            axes.hist(values, bins, weights=shares, alpha=0.6, label=kind)
        axes.set(title=name, xlabel="cosine similarity of two halves")
        axes.set_yticks([])
        axes.locator_params(axis="x", nbins=6)
    every_axes[0].set_ylabel("share of the pairs")
    handles, names = every_axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(title)
    figure.savefig(path, format="png", dpi=100)
