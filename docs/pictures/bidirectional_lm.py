"""The network over one sentence, and what one token's vectors depend on."""

from __future__ import annotations

import keras
import numpy as np

from pictures.canvas import BLUE, GREY, LINE, ORANGE, WHITE, Canvas
from pictures.model import CONFIG, TEXT, model, outputs
from pictures.sentence_boundaries import step_names

TOKEN = 0  # "Hi", which stands at step 1
PALE = "#c4c4c4"


def dependence() -> np.ndarray:
    """Which steps the top layer's two halves at ``TOKEN`` are computed from.

    Found out by changing the input at one step after another.

    Returns:
        Booleans (2, steps), forward and backward.
    """
    bilm = model().bilm
    inputs = outputs().token_vectors[:1]  # (1, steps, 8)
    steps, size = inputs.shape[1:]
    changed = np.repeat(inputs, steps + 1, axis=0)  # (steps + 1, steps, 8)
    changed[np.arange(steps), np.arange(steps)] += 1  # the last row stays as it is
    layers = keras.ops.convert_to_numpy(bilm(changed))  # (steps + 1, tokens, 3, 16)
    top = layers[:, TOKEN, -1]  # (steps + 1, 16)
    differs = np.asarray(np.abs(top[:-1] - top[-1]) > 1e-6)  # (steps, 16)
    return np.stack([differs[:, :size].any(axis=1), differs[:, size:].any(axis=1)])


def bidirectional_lm() -> Canvas:
    """Two layers in two directions over four steps; what "Hi" depends on in colour."""
    reads = dependence()  # (2, steps)
    steps = reads.shape[1]
    size = CONFIG.projection_dim
    canvas = Canvas(32, 17)
    names = step_names(TEXT[0], steps)
    columns = [8 + 6.6 * step for step in range(steps)]
    rows = [10.6 - 4 * layer for layer in range(CONFIG.n_layers)]
    canvas.text(0.3, 14.6, "token vectors", size=8)
    canvas.text(0.3, 15.5, f"({size})", size=7)
    for layer, y in enumerate(rows, 1):
        canvas.text(0.3, y + 0.3, f"LSTM layer {layer}", size=8)
        canvas.text(0.3, y + 1.2, f"({size}) each", size=7)
    canvas.text(0.3, 3.1, f"layer {CONFIG.n_layers}", size=8)
    canvas.text(0.3, 4, f"({2 * size})", size=7)
    used = reads[0] | reads[1]  # (steps,)
    for step, (name, x) in enumerate(zip(names, columns, strict=True)):
        ink = LINE if used[step] else PALE
        canvas.box(x - 2, 14.2, 4, 1.4, name, GREY if used[step] else WHITE, True, ink)
        for direction, offset in enumerate((-1.4, 1.4)):
            ink = LINE if reads[direction, step] else PALE
            canvas.arrow((x + offset / 2, 14.2), (x + offset, rows[0] + 1.4), color=ink)
            for layer, y in enumerate(rows):
                _state(canvas, x + offset, y, direction, bool(reads[direction, step]))
                if layer:
                    start = (x + offset, rows[layer - 1])
                    canvas.arrow(start, (x + offset, y + 1.4), color=ink)
        if 0 < step < steps - 1:
            _output(canvas, x, rows[-1], step - 1 == TOKEN)
    for step in range(steps - 1):
        for y in rows:
            _recurrence(canvas, columns, y, step, reads)
    canvas.box(7.3, 0.4, 1, 1, fill=BLUE)
    canvas.text(8.6, 0.9, 'forward, read for "Hi"', size=8)
    canvas.box(17.3, 0.4, 1, 1, fill=ORANGE)
    canvas.text(18.6, 0.9, 'backward, read for "Hi"', size=8)
    return canvas


def _state(canvas: Canvas, x: float, y: float, direction: int, read: bool) -> None:
    fill = (BLUE, ORANGE)[direction] if read else WHITE
    arrow = ("\N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW}")[direction]
    ink = LINE if read else PALE
    canvas.box(x - 0.9, y, 1.8, 1.4, arrow, fill, True, ink, color=ink)


def _output(canvas: Canvas, x: float, top: float, marked: bool) -> None:
    ink = LINE if marked else PALE
    for offset, fill in ((-1.4, BLUE), (1.4, ORANGE)):
        canvas.arrow((x + offset, top), (x + offset / 2, 4.2), color=ink)
        left = x - 2 if offset < 0 else x
        canvas.box(left, 2.8, 2, 1.4, "", fill if marked else WHITE, False, ink)


def _recurrence(
    canvas: Canvas, columns: list[float], y: float, step: int, reads: np.ndarray
) -> None:
    """The two arrows between a step and the next, above and below each other."""
    x, following = columns[step], columns[step + 1]
    forward = LINE if reads[0, step] and reads[0, step + 1] else PALE
    backward = LINE if reads[1, step] and reads[1, step + 1] else PALE
    # Around the box of the other direction, which lies between.
    bend = "arc3,rad=-0.28"
    canvas.arrow(
        (x - 0.5, y), (following - 2.3, y + 0.5), color=forward, connectionstyle=bend
    )
    canvas.arrow(
        (following + 0.5, y + 1.4), (x + 2.3, y + 0.9), color=backward, connectionstyle=bend
    )
