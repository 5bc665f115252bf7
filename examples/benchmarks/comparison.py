"""The results of a workload: values pair by pair, and their ratios."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

WIDTHS = (36, 10, 10, 7, 24, 10)
HEADINGS = ("", "median", "tokens/s", "bound", "ratio (lowest..highest)", "difference")

EXPLANATION = """\
ratio: a side's value relative to the first side's; the median over pairs.
bound: the share of the time that this machine needs at least: the larger of the useful
multiply-adds at its best float32 matrix-multiply rate, and the bytes of weights that the
steps read at its best bandwidth, both measured before and after the workload.
difference: the largest absolute difference of outputs (for f, of losses) from the first
side's.\
"""


@dataclass(frozen=True)
class Comparison:
    """Values of several sides, measured alternately; the first side is ours."""

    workload: str  # its letter
    title: str
    unit: str  # "s", "GB" or "us/token"
    values: Mapping[str, Sequence[float]]  # of each side, one per pair
    tokens: Sequence[int] = ()  # of each pair
    bounds: Sequence[float] = ()  # the least seconds that each pair can take
    differences: Mapping[str, float] = field(default_factory=dict)  # the largest, from ours
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> str:
        return next(iter(self.values))

    def ratios(self, side: str) -> list[float]:
        """A side's values relative to ours, pair by pair."""
        pairs = zip(self.values[side], self.values[self.ours], strict=True)
        return [theirs / ours for theirs, ours in pairs]

    def rate(self, side: str, amounts: Sequence[float]) -> float:
        """The median of amounts, such as tokens or least seconds, per second."""
        pairs = zip(amounts, self.values[side], strict=True)
        return statistics.median(amount / seconds for amount, seconds in pairs)

    def cells(self, side: str) -> tuple[str, ...]:
        """A row of the table."""
        ratios = self.ratios(side)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        difference = self.differences.get(side)
        return (
            side,
            f"{statistics.median(self.values[side]):.3g} {self.unit}",
            f"{self.rate(side, self.tokens):,.0f}" if self.tokens else "",
            f"{self.rate(side, self.bounds):.1%}" if self.bounds else "",
            "" if side == self.ours else spread,
            "" if difference is None else f"{difference:.1e}",
        )

    def print(self) -> None:
        """Prints a table with a row for each side."""
        about = [f"{len(self.values[self.ours])} pairs"]
        if self.tokens:
            about.append(f"{statistics.median(self.tokens):,.0f} tokens each")
        print(f"\n({self.workload}) {self.title} ({', '.join(about)})")
        for cells in (HEADINGS, *map(self.cells, self.values)):
            padded = [cells[0].ljust(WIDTHS[0])]
            padded += [c.rjust(w) for c, w in zip(cells[1:], WIDTHS[1:], strict=True)]
            print(f"  {'  '.join(padded)}".rstrip())
        for name, value in self.details.items():
            print(f"  {name}: {value}", flush=True)


def write_chart(path: Path, comparisons: Sequence[Comparison], heading: str) -> None:
    """Draws the ratios, with their spread from lowest to highest, as PNG.

    The color says whether ours took less, or the other side did.
    """
    from matplotlib.figure import Figure

    bars = [(c, side) for c in comparisons for side in list(c.values)[1:]]
    ratios = [c.ratios(side) for c, side in bars]
    medians = np.array([statistics.median(r) for r in ratios])
    spreads = [medians - [min(r) for r in ratios], [max(r) for r in ratios] - medians]
    figure = Figure(figsize=(10, 1.5 + 0.4 * len(bars)), layout="constrained")
    axes = figure.subplots()
    colors = np.where(medians > 1, "C0", "C1")
    drawn = axes.barh(range(len(bars)), medians, xerr=spreads, color=colors, capsize=3)
    axes.bar_label(drawn, fmt="%.2f", padding=6, fontsize=8)
    names = [f"({c.workload}) {c.title}: {side}" for c, side in bars]
    axes.set_yticks(range(len(bars)), names, fontsize=8)
    axes.set_ylim(len(bars) - 0.4, -0.6)  # the first at the top
    axes.axvline(1, color="black", lw=1)
    axes.set_xlim(0, 1.15 * max(map(max, ratios), default=1))
    axes.set_xlabel(
        "time or memory relative to the first side: it took less (blue), more (orange)"
    )
    figure.suptitle(heading)
    figure.savefig(path, dpi=150)
