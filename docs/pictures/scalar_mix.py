"""The weighted sum of the layers."""

from __future__ import annotations

import keras
import numpy as np

from pictures.canvas import BLUE, Canvas
from pictures.model import TEXT, model, outputs


def shares() -> np.ndarray:
    """The softmax of the mix's weights, (3,)."""
    weights, _ = model().mix.get_weights()
    return np.asarray(keras.ops.softmax(weights))


def scalar_mix() -> Canvas:
    """The layers of "Hi there" from top to bottom, and their sum."""
    found = outputs()
    s, gamma = shares(), float(model().mix.get_weights()[1])
    canvas = Canvas(32, 15.4, largest=2)
    tokens, cell = TEXT[0].split(), (0.9, 0.9)
    for k, share in enumerate(s):
        y = 1 + 3.1 * k
        canvas.text(0.3, y + 0.9, f"layer {k}")
        _tokens(canvas, tokens, y)
        canvas.heat(7.4, y, found.layers[0, :, k], f"layer {k}", cell)
        canvas.text(22.3, y + 0.9, f"$\\times\\; s_{k} =$ {share:.2f}")
        canvas.box(27, y + 0.45, 4.4 * float(share), 0.9, fill=BLUE)
        if k + 1 < len(s):
            canvas.text(14.6, y + 2.4, "+", ha="center", size=12)
    y = 1 + 3.1 * len(s) + 0.6
    canvas.arrow((14.6, y - 1.7), (14.6, y - 0.2))
    canvas.text(15.2, y - 0.95, f"$\\times\\; \\gamma =$ {gamma:.1f}")
    canvas.text(0.3, y + 0.9, "ELMo", weight="bold")
    _tokens(canvas, tokens, y)
    canvas.heat(7.4, y, found.mixed[0], "mix", cell)
    canvas.text(22.3, y + 0.9, f"{found.mixed[0].shape}", size=7)
    canvas.scale(8.6, y + 3)
    return canvas


def _tokens(canvas: Canvas, tokens: list[str], y: float) -> None:
    for row, token in enumerate(tokens):
        canvas.text(7, y + 0.9 * (row + 0.5), f'"{token}"', ha="right", size=8)
