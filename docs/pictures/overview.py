"""All stages in one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pictures.canvas import BLUE, GREY, Canvas
from pictures.character_ids import colour
from pictures.model import TEXT, outputs

SHOWN = 7  # ids of each token
PADDING = 261


def overview() -> Canvas:
    """From the text at the top to a vector at the bottom, with shapes and numbers."""
    found = outputs()
    canvas = Canvas(32, 27.2, largest=2)
    canvas.text(4.6, 0.7, "stage and layer", ha="center", size=7, color="#777777")
    canvas.text(10.3, 0.7, f'of "{TEXT[0]}"', size=7, color="#777777")
    canvas.text(26, 0.7, "shape", size=7, color="#777777")

    canvas.box(0.3, 1.3, 8.6, 1.8, "text", GREY, rounded=True)
    canvas.text(10.3, 2.2, f'"{TEXT[0]}"')
    _shape(canvas, 2.2, "(B,)", (len(TEXT),))

    y = _stage(canvas, 4.2, "character ids", "CharacterIds", 2)
    _ids(canvas, y, found.ids[0])
    _shape(canvas, y + 0.9, "(B, T, L)", found.ids.shape)

    y = _stage(canvas, 7.2, "sentence boundaries", "SentenceBoundaries", 4)
    _ids(canvas, y, found.bounded[0], without_numbers=found.ids[0])
    _shape(canvas, y + 1.8, "(B, T + 2, L)", found.bounded.shape)

    y = _stage(canvas, 12, "token vectors", "TokenEncoder", 4)
    canvas.heat(10.3, y, found.token_vectors[0], "token vectors", (0.9, 0.9))
    _shape(canvas, y + 1.8, "(B, T + 2, P)", found.token_vectors.shape)

    y = _stage(canvas, 16.8, "biLM layers", "BidirectionalLM", 3)
    for token, layers in enumerate(found.layers[0]):  # (3, 16) each
        x = 10.3 + 7.6 * token
        canvas.heat(x, y, layers, f"layers of token {token}", (0.45, 0.9))
    _shape(canvas, y + 1.35, "(B, T, K + 1, 2P)", found.layers.shape)

    y = _stage(canvas, 20.7, "scalar mix", "ScalarMix", 2)
    canvas.heat(10.3, y, found.mixed[0], "mix", (0.9, 0.9))
    _shape(canvas, y + 0.9, "(B, T, 2P)", found.mixed.shape)

    y = _stage(canvas, 23.7, "pooling", "MaskedMean", 2)
    canvas.heat(10.3, y + 0.45, found.pooled[0], "mean", (0.9, 0.9))
    _shape(canvas, y + 0.9, "(B, 2P)", found.pooled.shape)
    canvas.scale(11.5, 26.1)
    return canvas


def _stage(canvas: Canvas, y: float, name: str, layer: str, rows: int) -> float:
    """The box of a stage and the arrow to it; where its numbers begin."""
    height = max(0.9 * rows, 1.8)
    top = y + height / 2 - 0.9
    canvas.arrow((4.6, top - 1), (4.6, top))
    canvas.box(0.3, top, 8.6, 1.8, fill=BLUE, rounded=True)
    canvas.text(4.6, top + 0.6, name, ha="center")
    canvas.text(4.6, top + 1.3, layer, ha="center", size=7)
    return y


def _ids(
    canvas: Canvas, y: float, ids: np.ndarray, without_numbers: Sequence[np.ndarray] = ()
) -> None:
    """Coloured cells, with numbers unless they are padding or the same row stood above."""
    for row, token in enumerate(ids):
        is_known = any(np.array_equal(token, known) for known in without_numbers)
        for column, value in enumerate(token[:SHOWN]):
            x = 10.3 + 1.8 * column
            text = "" if is_known or value == PADDING else f"{value}"
            canvas.box(x, y + 0.9 * row, 1.8, 0.9, text, colour(int(value)), size=7)
    canvas.text(10.8 + 1.8 * SHOWN, y + 0.45 * len(ids), "\N{HORIZONTAL ELLIPSIS}")


def _shape(canvas: Canvas, y: float, symbols: str, numbers: tuple[int, ...]) -> None:
    canvas.text(26, y - 0.4, symbols, size=8)
    canvas.text(26, y + 0.5, f"{tuple(numbers)}", size=7)
