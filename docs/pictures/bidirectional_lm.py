"""The network over one sentence, and what one token's vectors depend on."""

from __future__ import annotations

import keras
import numpy as np

from pictures.canvas import BLUE, GREY, LINE, ORANGE, WHITE, Canvas
from pictures.ids import step_names
from pictures.model import CONFIG, TEXT, model, outputs

TOKEN = 0  # "Hi", which stands at step 1
UNREAD = "#c4c4c4"
DIRECTIONS = (
    (-1.4, BLUE, "\N{RIGHTWARDS ARROW}"),
    (1.4, ORANGE, "\N{LEFTWARDS ARROW}"),
)


def dependence() -> np.ndarray:
    """Which steps the top layer's two halves at ``TOKEN`` are computed from, (2, steps).

    Found out by changing the input at one step after another.
    """
    inputs = outputs().token_vectors[:1]  # (1, steps, 8)
    steps, size = inputs.shape[1:]
    changed = np.repeat(inputs, steps + 1, axis=0)  # (steps + 1, steps, 8)
    changed[np.arange(steps), np.arange(steps)] += 1  # the last row stays as it is
    layers = keras.ops.convert_to_numpy(model().bilm(changed))  # (steps + 1, tokens, 3, 16)
    top = layers[:, TOKEN, -1]  # (steps + 1, 16)
    differs = np.asarray(np.abs(top[:-1] - top[-1]) > 1e-4)  # (steps, 16)
    return np.stack([differs[:, :size].any(axis=1), differs[:, size:].any(axis=1)])


def bidirectional_lm() -> Canvas:
    """Two layers in two directions over four steps; what "Hi" depends on in color."""
    reads = dependence()  # (2, steps)
    steps = reads.shape[1]
    size = CONFIG.projection_dim
    canvas = Canvas(32, 17)
    columns = [8 + 6.6 * step for step in range(steps)]
    first, second = 10.6, 6.6  # the layers
    for y, name, shape in (
        (14.6, "token vectors", f"({size})"),
        (first + 0.3, "LSTM layer 1", f"({size}) each"),
        (second + 0.3, "LSTM layer 2", f"({size}) each"),
        (3.1, f"layer {CONFIG.n_layers}", f"({2 * size})"),
    ):
        canvas.text(0.3, y, name, size=8)
        canvas.text(0.3, y + 0.9, shape, size=7)
    for step, (name, x) in enumerate(zip(step_names(TEXT[0], steps), columns, strict=True)):
        is_read = reads[:, step]  # (2,)
        fill, ink = (GREY, LINE) if is_read.any() else (WHITE, UNREAD)
        canvas.box(x - 2, 14.2, 4, 1.4, name, fill, True, ink)
        for (offset, fill, arrow), read in zip(DIRECTIONS, is_read, strict=True):
            fill, ink = (fill, LINE) if read else (WHITE, UNREAD)
            canvas.arrow((x + offset / 2, 14.2), (x + offset, first + 1.4), color=ink)
            canvas.arrow((x + offset, first), (x + offset, second + 1.4), color=ink)
            for y in (first, second):
                left = x + offset - 0.9
                canvas.box(left, y, 1.8, 1.4, arrow, fill, True, ink, color=ink)
        if 0 < step < steps - 1:
            _output(canvas, x, second, step - 1 == TOKEN)
    for step in range(steps - 1):
        inks = [LINE if row[step] and row[step + 1] else UNREAD for row in reads]
        for y in (first, second):
            _recurrence(canvas, columns[step], columns[step + 1], y, *inks)
    for x, fill, name in ((7.3, BLUE, "forward"), (17.3, ORANGE, "backward")):
        canvas.box(x, 0.4, 1, 1, fill=fill)
        canvas.text(x + 1.3, 0.9, f'{name}, read for "Hi"', size=8)
    return canvas


def _output(canvas: Canvas, x: float, top: float, marked: bool) -> None:
    ink = LINE if marked else UNREAD
    for offset, fill, _ in DIRECTIONS:
        canvas.arrow((x + offset, top), (x + offset / 2, 4.2), color=ink)
        left = x - 2 if offset < 0 else x
        canvas.box(left, 2.8, 2, 1.4, "", fill if marked else WHITE, False, ink)


def _recurrence(
    canvas: Canvas, x: float, following: float, y: float, forward: str, backward: str
) -> None:
    """The arrows between a step and the next, around the box of the other direction."""
    for start, end, color in (
        ((x - 0.5, y), (following - 2.3, y + 0.5), forward),
        ((following + 0.5, y + 1.4), (x + 2.3, y + 0.9), backward),
    ):
        canvas.arrow(start, end, color=color, connectionstyle="arc3,rad=-0.28")
