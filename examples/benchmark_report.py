"""The results of benchmark.py as a table, as JSON and as a chart."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_comparison import Comparison

WIDTHS = (36, 10, 10, 7, 24, 10)
HEADINGS = ("", "median", "tokens/s", "GEMM", "ratio (lowest..highest)", "difference")

EXPLANATION = """\
ratio: a side's value in multiples of the first side's, the median over pairs.
GEMM: the part of the machine's best float32 matrix-multiply rate, measured before and after
the workload, that goes into useful work: the LSTMs and their projections for each token
and each sentence boundary, the token encoder for each distinct word of a batch.
difference: the largest absolute difference of outputs (for f, of losses) from the first
side's.\
"""


def print_table(comparisons: Sequence[Comparison]) -> None:
    """Prints a block of lines for each comparison, a line for each side."""
    for comparison in comparisons:
        print(f"\n({comparison.workload}) {comparison.title}{_about(comparison)}")
        print(_line(HEADINGS))
        for side in _first(comparison):
            print(_line(_cells(comparison, side)))
        for name, accuracies in comparison.details.get("validation_accuracies", {}).items():
            print(f"  validation accuracy, {name}: {_numbers(accuracies)}")
        if "largest_accuracy_difference" in comparison.details:
            difference = comparison.details["largest_accuracy_difference"]
            print(f"  largest difference of validation accuracies: {difference:.4f}")
    print(f"\n{EXPLANATION}")


def _first(comparison: Comparison) -> list[str]:
    """The sides with the subject before the others."""
    others = [side for side in comparison.values if side != comparison.subject]
    return [comparison.subject, *others]


def _about(comparison: Comparison) -> str:
    n_pairs = len(comparison.values[comparison.subject])
    parts = [f"{n_pairs} pair{'s' * (n_pairs > 1)}"]
    if comparison.tokens is not None:
        parts.append(f"{statistics.median(comparison.tokens):,.0f} tokens each")
    if comparison.gemm is not None:
        parts.append(f"GEMM {comparison.gemm / 1e9:.0f} GFLOP/s")
    if "largest_output" in comparison.details:
        parts.append(f"outputs up to {comparison.details['largest_output']:.2g}")
    return f" ({', '.join(parts)})"


def _cells(comparison: Comparison, side: str) -> tuple[str, ...]:
    speed, share = comparison.tokens_per_second(side), comparison.gemm_share(side)
    ratios = comparison.ratios(side)
    spread = f"({min(ratios):.2f}..{max(ratios):.2f})"
    difference = comparison.differences.get(side)
    return (
        side,
        f"{comparison.median(side):.3g} {comparison.unit}",
        "" if speed is None else f"{speed:,.0f}",
        "" if share is None else f"{share:.1%}",
        "" if side == comparison.subject else f"{statistics.median(ratios):.2f} {spread}",
        "" if difference is None else f"{difference:.1e}",
    )


def _line(cells: Sequence[str]) -> str:
    first, *others = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
    return "  ".join(["  " + first, *others]).rstrip()


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def write_json(
    path: Path, about: Mapping[str, Any], comparisons: Sequence[Comparison]
) -> None:
    """Writes all numbers.

    Args:
        path: The file.
        about: The machine, the model and the settings.
        comparisons: What was measured.
    """
    numbers = {**about, "comparisons": [c.to_json() for c in comparisons]}
    path.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def write_chart(path: Path, comparisons: Sequence[Comparison], heading: str) -> None:
    """Draws the ratios, with their spread from the lowest to the highest.

    Args:
        path: The PNG file.
        comparisons: What was measured.
        heading: Stands above the chart.
    """
    # A figure by itself, without pyplot: it is drawn by Agg and needs no screen.
    from matplotlib.figure import Figure

    bars = [
        (comparison, side)
        for comparison in comparisons
        for side in comparison.values
        if side != comparison.subject
    ]
    ratios = [comparison.ratios(side) for comparison, side in bars]
    medians = np.array([statistics.median(r) for r in ratios])
    spreads = [medians - [min(r) for r in ratios], [max(r) for r in ratios] - medians]
    colors = [f"C{ord(comparison.workload) - ord('a')}" for comparison, _ in bars]
    figure = Figure(figsize=(10, 1.5 + 0.4 * len(bars)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(bars)), medians, xerr=spreads, color=colors, capsize=3)
    names = [f"({c.workload}) {c.title}: {side}" for c, side in bars]
    axes.set_yticks(range(len(bars)), names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="black", lw=1)
    for row, values in enumerate(ratios):
        axes.annotate(
            f"{medians[row]:.2f}",
            (max(values), row),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_xlim(0, 1.15 * max(map(max, ratios)))
    axes.set_xlabel(
        "time or memory, in multiples of keras-elmo's (median, lowest, highest)"
    )
    axes.grid(axis="x", alpha=0.3)
    figure.suptitle(heading)
    figure.savefig(path, dpi=150)
