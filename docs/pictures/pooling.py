"""The mean over tokens."""

from __future__ import annotations

from fractions import Fraction

from pictures.canvas import Canvas
from pictures.model import TEXT, outputs


def pooling() -> Canvas:
    """The vectors of both sentences, what they are multiplied by, and their means."""
    found = outputs()
    canvas = Canvas(32, 14.2, largest=2)
    cell = (0.9, 0.9)
    for sentence, text in enumerate(TEXT):
        y = 1 + 6.2 * sentence
        canvas.text(0.3, y + 0.9, f'"{text}"', weight="bold")
        mask = found.mask[sentence]  # (2,)
        names = [f'"{token}"' for token in text.split()]
        names += ["padding"] * (len(mask) - len(names))
        for row, (name, is_token) in enumerate(zip(names, mask, strict=True)):
            middle = y + 0.9 * (row + 0.5)
            canvas.text(8.7, middle, name, ha="right", size=8)
            factor = Fraction(int(is_token), int(mask.sum()))
            canvas.text(24, middle, f"$m =$ {int(is_token)},  $\\times$ {factor}", size=8)
        canvas.heat(9, y, found.mixed[sentence], f"vectors {sentence}", cell)
        canvas.arrow((16.2, y + 2), (16.2, y + 3.2))
        canvas.text(8.7, y + 3.85, "mean", ha="right", size=8)
        canvas.heat(9, y + 3.4, found.pooled[sentence], f"mean {sentence}", cell)
        canvas.text(24, y + 3.85, f"{found.pooled[sentence].shape}", size=7)
    canvas.scale(10.2, 13)
    return canvas
