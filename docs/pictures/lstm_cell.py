"""The projected LSTM cell as a diagram."""

from __future__ import annotations

import functools

from pictures.canvas import BLUE, GREEN, ORANGE, YELLOW, Canvas
from pictures.model import CONFIG

GATES = {"i": 4.2, "j": 6.5, "f": 8.8, "o": 11.1}  # in the order of the weights' columns


def lstm_cell() -> Canvas:
    """One step, from left to right, with the sizes of the model's first cell."""
    units, size = CONFIG.dim, CONFIG.projection_dim
    clip = f"\N{PLUS-MINUS SIGN}{CONFIG.cell_clip:g}"
    canvas = Canvas(32, 13)

    box = functools.partial(canvas.box, rounded=True)

    # What goes in.
    box(0.4, 1, 3.6, 1.4, f"$c_{{t-1}}$  ({units})", ORANGE)
    box(0.4, 6, 3.6, 1.4, f"$x_t$  ({size})", BLUE)
    box(0.4, 9.4, 3.6, 1.4, f"$h_{{t-1}}$  ({size})", GREEN)
    canvas.box(5.2, 6, 3.8, 4.8, fill=YELLOW)
    canvas.text(7.1, 7.5, "$W$", ha="center", size=12)
    canvas.text(7.1, 8.6, f"{(2 * size, 4 * units)}", ha="center", size=7)
    canvas.text(7.1, 9.6, "$+\\; b$", ha="center")
    for gate, y in GATES.items():
        box(10.3, y, 2.8, 1.3, f"${gate}$  ({units})")
        canvas.arrow((9, 8.4), (10.3, y + 0.65))

    # The new cell state.
    box(15, 1, 4.6, 1.4, "$\\sigma(f + 1)\\odot$")
    box(14.1, 4.9, 2.4, 2.3, "$\\sigma(i)\\,\\odot$\n$\\tanh(j)$", size=8)
    box(20.6, 1, 1.4, 1.4, "+", size=12)
    box(22.9, 1, 3.2, 1.4, f"clip {clip}", size=8)
    box(27.6, 1, 3.6, 1.4, f"$c_t$  ({units})", ORANGE)

    # The new hidden state.
    box(17.9, 10.9, 4.2, 1.7, "$\\sigma(o)\\odot\\tanh(c_t)$", size=8)
    canvas.box(23, 10.5, 2.7, 2.2, fill=YELLOW)
    canvas.text(24.35, 11.2, "$W_P$", ha="center", size=11)
    canvas.text(24.35, 12.2, f"{(units, size)}", ha="center", size=7)
    box(26.5, 11.05, 1.9, 1.4, f"clip\n{clip}", size=7)
    box(29, 11.05, 2.7, 1.4, f"$h_t$  ({size})", GREEN)

    for start, end, y in (
        *((4, 5.2, 6.7), (4, 5.2, 10.1), (4, 15, 1.7), (19.6, 20.6, 1.7), (22, 22.9, 1.7)),
        *((26.1, 27.6, 1.7), (13.1, 17.9, 11.75), (22.1, 23, 11.75), (25.7, 26.5, 11.75)),
        (28.4, 29, 11.75),
    ):
        canvas.arrow((start, y), (end, y))
    canvas.arrow((13.1, 4.85), (14.1, 5.6))
    canvas.arrow((13.1, 7.15), (14.1, 6.6))
    canvas.path((13.1, 9.45), (17.3, 9.45), (17.3, 2.4))
    canvas.path((16.5, 6.05), (21.3, 6.05), (21.3, 2.4))
    canvas.path((29.4, 2.4), (29.4, 9), (20, 9), (20, 10.9))
    return canvas
