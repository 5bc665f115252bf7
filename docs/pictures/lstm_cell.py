"""The projected LSTM cell as a diagram."""

from __future__ import annotations

from pictures.canvas import BLUE, GREEN, ORANGE, YELLOW, Canvas
from pictures.model import model

GATES = ("i", "j", "f", "o")


def lstm_cell() -> Canvas:
    """One step, from left to right, with the sizes of the model's first cell."""
    cell = model().bilm.forward_lstms[0].cell
    units, size = cell.units, cell.projection_dim
    clip = f"\N{PLUS-MINUS SIGN}{cell.cell_clip:g}"
    features, columns = cell.kernel.shape
    canvas = Canvas(32, 13)

    # What goes in.
    canvas.box(0.4, 1, 3.6, 1.4, f"$c_{{t-1}}$  ({units})", ORANGE, rounded=True)
    canvas.box(0.4, 6, 3.6, 1.4, f"$x_t$  ({features})", BLUE, rounded=True)
    canvas.box(0.4, 9.4, 3.6, 1.4, f"$h_{{t-1}}$  ({size})", GREEN, rounded=True)
    canvas.box(5.2, 6, 3.8, 4.8, fill=YELLOW)
    canvas.text(7.1, 7.5, "$W$", ha="center", size=12)
    canvas.text(7.1, 8.6, f"{(features + size, columns)}", ha="center", size=7)
    canvas.text(7.1, 9.6, "$+\\; b$", ha="center")
    canvas.arrow((4, 6.7), (5.2, 6.7))
    canvas.arrow((4, 10.1), (5.2, 10.1))

    # Gates, in the order of the weights' columns.
    heights = (4.2, 6.5, 8.8, 11.1)
    for gate, y in zip(GATES, heights, strict=True):
        canvas.box(10.3, y, 2.8, 1.3, f"${gate}$  ({units})", rounded=True)
        canvas.arrow((9, 8.4), (10.3, y + 0.65))

    # The new cell state.
    canvas.box(15, 1, 4.6, 1.4, "$\\sigma(f + 1)\\odot$", rounded=True)
    canvas.arrow((4, 1.7), (15, 1.7))
    canvas.path((13.1, 9.45), (17.3, 9.45), (17.3, 2.4))
    canvas.box(
        14.1, 4.9, 2.4, 2.3, "$\\sigma(i)\\,\\odot$\n$\\tanh(j)$", rounded=True, size=8
    )
    canvas.arrow((13.1, 4.85), (14.1, 5.6))
    canvas.arrow((13.1, 7.15), (14.1, 6.6))
    canvas.box(20.6, 1, 1.4, 1.4, "+", rounded=True, size=12)
    canvas.arrow((19.6, 1.7), (20.6, 1.7))
    canvas.path((16.5, 6.05), (21.3, 6.05), (21.3, 2.4))
    canvas.box(22.9, 1, 3.2, 1.4, f"clip {clip}", rounded=True, size=8)
    canvas.arrow((22, 1.7), (22.9, 1.7))
    canvas.box(27.6, 1, 3.6, 1.4, f"$c_t$  ({units})", ORANGE, rounded=True)
    canvas.arrow((26.1, 1.7), (27.6, 1.7))

    # The new hidden state.
    canvas.box(17.9, 10.9, 4.2, 1.7, "$\\sigma(o)\\odot\\tanh(c_t)$", rounded=True, size=8)
    canvas.arrow((13.1, 11.75), (17.9, 11.75))
    canvas.path((29.4, 2.4), (29.4, 9), (20, 9), (20, 10.9))
    if cell.projection_kernel is not None:
        shape = tuple(cell.projection_kernel.shape)
        canvas.box(23, 10.5, 2.7, 2.2, fill=YELLOW)
        canvas.text(24.35, 11.2, "$W_P$", ha="center", size=11)
        canvas.text(24.35, 12.2, f"{shape}", ha="center", size=7)
    canvas.arrow((22.1, 11.75), (23, 11.75))
    canvas.box(26.5, 11.05, 1.9, 1.4, f"clip\n{clip}", rounded=True, size=7)
    canvas.arrow((25.7, 11.75), (26.5, 11.75))
    canvas.box(29, 11.05, 2.7, 1.4, f"$h_t$  ({size})", GREEN, rounded=True)
    canvas.arrow((28.4, 11.75), (29, 11.75))
    return canvas
