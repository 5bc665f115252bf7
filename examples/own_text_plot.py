"""A picture of how perplexity falls while a model goes on learning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keras_elmo.pretraining import Perplexities


def plot(history: Sequence[Perplexities], path: Path) -> None:
    """Draws the perplexities of both directions and their mean over the epochs.

    Args:
        history: Those before the training, and after each epoch.
        path: The PNG file to write.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, style in (("mean", "ko-"), ("forward", "C0s--"), ("backward", "C1^--")):
        values = [getattr(perplexities, name) for perplexities in history]
        axes.plot(range(len(history)), values, style, ms=5, label=name)
    axes.set(
        xlabel="passes over the text",
        ylabel="perplexity of the text held out",
        ylim=(0, None),
        title="ELMo trained further on other text",
    )
    axes.set_xticks(range(len(history)))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, format="png", dpi=100)
