"""A chart of how well two taggers find entities, by type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from named_entities_scores import Score

TypeScores = Mapping[str, Score]


def plot(panels: Mapping[str, Mapping[str, TypeScores]], path: Path) -> None:
    """Draws F1 as bars.

    Args:
        panels: For each panel, by its title, the scores of each tagger, by its name, for
            the same types of entities, by theirs.
        path: The PNG file to write.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    every_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, taggers) in zip(every_axes, panels.items(), strict=True):
        first = next(iter(taggers.values()))
        kinds = list(first)
        height = 0.8 / len(taggers)
        for i, (name, scores) in enumerate(taggers.items()):
            places = np.arange(len(kinds)) + (i - (len(taggers) - 1) / 2) * height
            f1 = [scores[kind].f1 for kind in kinds]
            bars = axes.barh(places, f1, height, color=f"C{i}", label=name)
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
        names = [f"{kind} ({first[kind].n_gold:,})" for kind in kinds]
        axes.set_yticks(np.arange(len(kinds)), names)
        axes.invert_yaxis()  # the first type on top
        axes.set(title=title, xlabel="F1 of entities", xlim=(0, 1))
        axes.grid(axis="x", alpha=0.3)
    handles, names = every_axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle("Named entities: ELMo and a learned embedding under the same tagger")
    figure.savefig(path, format="png", dpi=100)
