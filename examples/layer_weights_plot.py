"""A picture of the layer weights that tasks learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from layer_weights_heads import Outcome


def plot(learned: Mapping[str, Sequence[Outcome]], path: Path) -> None:
    """Draws the mean weights over the seeds as bars, and each seed as a dot.

    Args:
        learned: The outcomes of each task by its name, one for each seed.
        path: The PNG file to write.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    # (tasks, seeds, layers)
    weights = np.array([[one.weights for one in seeds] for seeds in learned.values()])
    n_tasks, n_seeds, n_layers = weights.shape
    width = 0.8 / n_layers
    for k in range(n_layers):
        name = "layer 0, the token vectors" if k == 0 else f"layer {k}"
        places = np.arange(n_tasks) + (k - (n_layers - 1) / 2) * width
        axes.bar(places, weights[:, :, k].mean(axis=1), width, color=f"C{k}", label=name)
        axes.plot(
            np.repeat(places, n_seeds), weights[:, :, k].ravel(), "k.", ms=4, zorder=3
        )
    axes.axhline(1 / n_layers, color="gray", ls="--", label="equal weights, the start")
    axes.set_xticks(np.arange(n_tasks), learned)
    axes.set(ylabel="weight in the mix", ylim=(0, 1))
    figure.legend(loc="outside lower center", ncols=n_layers + 1, frameon=False)
    figure.suptitle("The layers that tasks choose: bars are means, dots are seeds")
    figure.savefig(path, format="png", dpi=100)
