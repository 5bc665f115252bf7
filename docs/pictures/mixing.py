"""The weighted sum of the layers, and the mean over tokens."""

from __future__ import annotations

from fractions import Fraction

import keras
import numpy as np

from pictures.canvas import BLUE, Canvas
from pictures.model import TEXT, model, outputs

CELL = (0.9, 0.9)


def scalar_mix() -> Canvas:
    """The layers of "Hi there" from top to bottom, and their sum."""
    found = outputs()
    weights, gamma = model().mix.get_weights()
    shares = np.asarray(keras.ops.softmax(weights))  # (3,)
    canvas = Canvas(32, 15.4, largest=2)
    tokens = [f'"{token}"' for token in TEXT[0].split()]
    for k, share in enumerate(shares):
        y = 1 + 3.1 * k
        canvas.text(0.3, y + 0.9, f"layer {k}")
        canvas.rows(7, y, tokens)
        canvas.heat(7.4, y, found.layers[0, :, k], f"layer {k}", CELL)
        canvas.text(22.3, y + 0.9, f"$\\times\\; s_{k} =$ {share:.2f}")
        canvas.box(27, y + 0.45, 4.4 * float(share), 0.9, fill=BLUE)
        if k + 1 < len(shares):
            canvas.text(14.6, y + 2.4, "+", ha="center", size=12)
    y = 1.6 + 3.1 * len(shares)
    canvas.arrow((14.6, y - 1.7), (14.6, y - 0.2))
    canvas.text(15.2, y - 0.95, f"$\\times\\; \\gamma =$ {float(gamma):.1f}")
    canvas.text(0.3, y + 0.9, "ELMo", weight="bold")
    canvas.rows(7, y, tokens)
    canvas.heat(7.4, y, found.mixed[0], "mix", CELL)
    canvas.text(22.3, y + 0.9, f"{found.mixed[0].shape}", size=7)
    canvas.scale(8.6, y + 3)
    return canvas


def pooling() -> Canvas:
    """The vectors of both sentences, what they are multiplied by, and their means."""
    found = outputs()
    canvas = Canvas(32, 14.2, largest=2)
    for sentence, text in enumerate(TEXT):
        y = 1 + 6.2 * sentence
        canvas.text(0.3, y + 0.9, f'"{text}"', weight="bold")
        mask = found.mask[sentence]  # (2,)
        names = [f'"{token}"' for token in text.split()] + ["padding"]
        for row, is_token in enumerate(mask.astype(int)):
            canvas.rows(8.7, y + 0.9 * row, [names[row]])
            share = Fraction(int(is_token), int(mask.sum()))
            factor = f"$m =$ {is_token},  $\\times$ {share}"
            canvas.text(24, y + 0.9 * (row + 0.5), factor, size=8)
        canvas.heat(9, y, found.mixed[sentence], f"vectors {sentence}", CELL)
        canvas.arrow((16.2, y + 2), (16.2, y + 3.2))
        canvas.rows(8.7, y + 3.4, ["mean"])
        canvas.heat(9, y + 3.4, found.pooled[sentence], f"mean {sentence}", CELL)
        canvas.text(24, y + 3.85, f"{found.pooled[sentence].shape}", size=7)
    canvas.scale(10.2, 13)
    return canvas
