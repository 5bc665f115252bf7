"""All stages in one picture."""

from __future__ import annotations

import numpy as np

from pictures.canvas import BLUE, FAINT, GREY, Canvas
from pictures.ids import color
from pictures.model import TEXT, outputs

SHOWN = 7  # ids of each token
PADDING = 261
LEFT = 10.3  # of the numbers
CELL = (0.9, 0.9)


def overview() -> Canvas:
    """From the text at the top to a vector at the bottom, with shapes and numbers."""
    found = outputs()
    canvas = Canvas(32, 27.2, largest=2)
    canvas.text(4.6, 0.7, "stage and layer", ha="center", size=7, color=FAINT)
    canvas.text(LEFT, 0.7, f'of "{TEXT[0]}"', size=7, color=FAINT)
    canvas.text(26, 0.7, "shape", size=7, color=FAINT)
    canvas.box(0.3, 1.3, 8.6, 1.8, "text", GREY, rounded=True)
    canvas.text(LEFT, 2.2, f'"{TEXT[0]}"')
    _shape(canvas, 2.2, "(B,)", (len(TEXT),))

    _stage(canvas, 4.2, 2, "character ids", "CharacterIds")
    _ids(canvas, 4.2, found.ids[0], [])
    _shape(canvas, 5.1, "(B, T, L)", found.ids.shape)
    _stage(canvas, 7.2, 4, "sentence boundaries", "SentenceBoundaries")
    _ids(canvas, 7.2, found.bounded[0], found.ids[0].tolist())
    _shape(canvas, 9, "(B, T + 2, L)", found.bounded.shape)
    _stage(canvas, 12, 4, "token vectors", "TokenEncoder")
    canvas.heat(LEFT, 12, found.token_vectors[0], "token vectors", CELL)
    _shape(canvas, 13.8, "(B, T + 2, P)", found.token_vectors.shape)
    _stage(canvas, 16.8, 3, "biLM layers", "BidirectionalLM")
    for token, layers in enumerate(found.layers[0]):  # (3, 16) each
        name = f"layers of token {token}"
        canvas.heat(LEFT + 7.6 * token, 16.8, layers, name, (0.45, 0.9))
    _shape(canvas, 18.15, "(B, T, K + 1, 2P)", found.layers.shape)
    _stage(canvas, 20.7, 2, "scalar mix", "ScalarMix")
    canvas.heat(LEFT, 20.7, found.mixed[0], "mix", CELL)
    _shape(canvas, 21.6, "(B, T, 2P)", found.mixed.shape)
    _stage(canvas, 23.7, 2, "pooling", "MaskedMean")
    canvas.heat(LEFT, 24.15, found.pooled[0], "mean", CELL)
    _shape(canvas, 24.6, "(B, 2P)", found.pooled.shape)
    canvas.scale(11.5, 26.1)
    return canvas


def _stage(canvas: Canvas, y: float, rows: int, name: str, layer: str) -> None:
    """The box of a stage whose numbers start at ``y``, and the arrow to it."""
    top = y + 0.45 * rows - 0.9
    canvas.arrow((4.6, top - 1), (4.6, top))
    canvas.box(0.3, top, 8.6, 1.8, fill=BLUE, rounded=True)
    canvas.text(4.6, top + 0.6, name, ha="center")
    canvas.text(4.6, top + 1.3, layer, ha="center", size=7)


def _ids(canvas: Canvas, y: float, ids: np.ndarray, known: list[list[int]]) -> None:
    """Colored cells, with numbers unless they are padding or the same row stood above."""
    for row, token in enumerate(ids.tolist()):
        for column, value in enumerate(token[:SHOWN]):
            text = "" if token in known or value == PADDING else f"{value}"
            x = LEFT + 1.8 * column
            canvas.box(x, y + 0.9 * row, 1.8, 0.9, text, color(value), size=7)
    canvas.text(10.8 + 1.8 * SHOWN, y + 0.45 * len(ids), "\N{HORIZONTAL ELLIPSIS}")


def _shape(canvas: Canvas, y: float, symbols: str, numbers: tuple[int, ...]) -> None:
    canvas.text(26, y - 0.4, symbols, size=8)
    canvas.text(26, y + 0.5, f"{tuple(numbers)}", size=7)
