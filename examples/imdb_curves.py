"""The curves that imdb_sentiment.py draws of a training."""

from __future__ import annotations

from pathlib import Path


def plot_curves(history: dict[str, list[float]], test_accuracy: float, path: Path) -> None:
    """Draws loss and accuracy over the epochs.

    Args:
        history: Loss and accuracy on both parts, a number for each epoch.
        test_accuracy: Drawn as a line across the accuracies.
        path: The PNG file to write.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        axes.plot(epochs, history[name], "o-", ms=4, label="training")
        axes.plot(epochs, history[f"val_{name}"], "s-", ms=4, label="validation")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("loss (binary crossentropy)")
    panels[1].axhline(
        test_accuracy, color="gray", ls="--", label="test, after the last epoch"
    )
    # One legend for both panels, below them, where it covers no point.
    handles, names = panels[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Sentiment of film reviews on ELMo embeddings")
    figure.savefig(path, dpi=150)
