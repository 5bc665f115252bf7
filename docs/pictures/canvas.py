"""A white sheet to draw on: text, boxes, arrows and heat maps."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

INCHES = 0.25  # per unit of length
FONT = {"family": "DejaVu Sans", "size": 9, "color": "#222222"}
LINE, FAINT = "#555555", "#777777"

# What things are, by their colors.
GREY, WHITE = "#e4e4e4", "#ffffff"
BLUE, ORANGE, GREEN, YELLOW = "#bcd9f2", "#f9cfa5", "#c9e7c4", "#fdeeb0"


class Canvas:
    """A figure whose origin is the upper left corner; a unit is a quarter of an inch.

    Args:
        width: Width in units.
        height: Height in units.
        largest: The value at which the colors of heat maps end, in both directions.
    """

    def __init__(self, width: float, height: float, largest: float = 1.0) -> None:
        # By itself, without pyplot: it needs no screen.
        self.figure = Figure(figsize=(width * INCHES, height * INCHES), facecolor="white")
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")
        self.largest = largest

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Writes, centred vertically, from x on unless ``ha`` says otherwise."""
        self.axes.text(x, y, text, **{**FONT, "va": "center", **style})

    def rows(self, x: float, y: float, names: Sequence[str], height: float = 0.9) -> None:
        """Writes what the rows of a heat map are, to the left of x."""
        for i, name in enumerate(names):
            self.text(x, y + height * (i + 0.5), name, ha="right", size=8)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        text: str = "",
        fill: str = WHITE,
        rounded: bool = False,
        edge: str = LINE,
        **style: Any,
    ) -> None:
        """Draws a box with a text in its middle; x and y are its upper left corner."""
        look = "round,pad=0,rounding_size=0.25" if rounded else "square,pad=0"
        self.axes.add_patch(
            FancyBboxPatch(
                (x, y), width, height, look, facecolor=fill, edgecolor=edge, linewidth=0.8
            )
        )
        if text:
            self.text(x + width / 2, y + height / 2, text, ha="center", **style)

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """Marks what lies in a rectangle."""
        self.axes.add_patch(
            Rectangle((x, y), width, height, fill=False, edgecolor="#111111", linewidth=1.6)
        )

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], **style: Any
    ) -> None:
        """Draws an arrow from one point to the other."""
        look = {"color": LINE, "linewidth": 1, "shrinkA": 0, "shrinkB": 0, **style}
        self.axes.add_patch(
            FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=8, **look)
        )

    def path(self, *points: tuple[float, float]) -> None:
        """Draws a line through points, with an arrow at the last."""
        self.axes.plot(*zip(*points[:-1], strict=True), color=LINE, linewidth=1)
        self.arrow(points[-2], points[-1])

    def heat(
        self,
        x: float,
        y: float,
        values: Any,
        name: str,
        cell: tuple[float, float] = (1, 1),
        numbers: bool = False,
    ) -> None:
        """Draws numbers (rows, columns) as colors, from the upper left corner x, y.

        Args:
            x: Left edge.
            y: Upper edge.
            values: The numbers; a vector is one row.
            name: What the numbers are, by which a test finds them.
            cell: Width and height of a cell.
            numbers: Whether to write each number into its cell.
        """
        values = np.atleast_2d(np.asarray(values, "float64"))  # (rows, columns)
        rows, columns = (np.arange(n + 1) for n in values.shape)
        self.axes.pcolormesh(
            x + cell[0] * columns,
            y + cell[1] * rows,
            values,
            cmap="RdBu_r",
            vmin=-self.largest,
            vmax=self.largest,
            edgecolors="white",
            linewidth=0.4,
            label=name,
        )
        for (row, column), value in np.ndenumerate(values if numbers else []):
            middle = x + cell[0] * (column + 0.5), y + cell[1] * (row + 0.5)
            text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
            color = "white" if abs(value) > 0.7 * self.largest else FONT["color"]
            self.text(*middle, text, ha="center", size=6, color=color)

    def scale(self, x: float, y: float) -> None:
        """Shows which colors stand for which numbers."""
        ends = f"{self.largest:g}"
        self.text(x - 0.3, y + 0.35, f"\N{MINUS SIGN}{ends}", ha="right", size=7)
        colors = np.linspace(-self.largest, self.largest, 7)  # (7,)
        self.heat(x, y, colors, "scale", (0.6, 0.7))
        self.text(x + 4.5, y + 0.35, ends, size=7)

    def save(self, path: Path) -> None:
        """Writes an SVG file, the same for the same picture."""
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with matplotlib.rc_context({"svg.hashsalt": "keras-elmo", "svg.fonttype": "path"}):
            self.figure.savefig(file, format="svg", metadata=nothing)
        path.write_text(_smaller(file.getvalue()), "utf-8")


def _smaller(svg: str) -> str:
    """The same picture in half the bytes, by shorter ways to say it."""
    svg = re.sub(r' clip-path="[^"]*"', "", svg)  # nothing is drawn outside
    svg = re.sub(r"\n +", "\n", svg)
    rectangle = r"M (\S+) (\S+) \nL (\S+) \2 \nL \3 (\S+) \nL \1 \4 \n(?:z|L \1 \2 ?)\n"
    svg = re.sub(rectangle, r"M\1 \2H\3V\4H\1z", svg)
    svg = re.sub(r"(translate\()(\d+\.\d\d)\d+", r"\1\2", svg)
    svg = re.sub(r"(translate\(\S+ \d+\.\d\d)\d+", r"\1", svg)
    svg = svg.replace("xlink:href", "href").replace("DejaVuSans-", "")
    svg = re.sub(r'<g id="[a-zA-Z]+_\d+">', "<g>", svg)
    svg = re.sub(r"<g>\n(<path [^>]*>)\n</g>", r"\1", svg)
    svg = re.sub(r"\b([MLQ]) (?=[-\d])", r"\1", svg).replace(" \n", "\n")
    # Styles that repeat become classes.
    styles = sorted(set(re.findall(r' style="([^"]*)"', svg)))
    rules = [f".s{i} {{{style}}}" for i, style in enumerate(styles)]
    for i, style in enumerate(styles):
        svg = svg.replace(f' style="{style}"', f' class="s{i}"')
    return svg.replace("</style>", "\n".join([*rules, "</style>"]), 1)
