"""The boundaries around the tokens, and the mask."""

from __future__ import annotations

from pictures.canvas import GREEN, ORANGE, Canvas
from pictures.character_ids import colour
from pictures.model import TEXT, outputs

FIRST = 4  # ids that are shown of each step


def step_names(text: str, steps: int) -> list[str]:
    """What stands at each step of a sentence with boundaries."""
    tokens = [f'"{token}"' for token in text.split()]
    padding = ["padding"] * (steps - 2 - len(tokens))
    return ["begin", *tokens, *padding, "end"]


def sentence_boundaries() -> Canvas:
    """Four steps of each sentence: their first ids, and whether they count."""
    found = outputs()
    canvas = Canvas(32, 11)
    steps = found.bounded.shape[1]
    for step in range(steps):
        canvas.text(
            7 + 6.3 * step, 0.7, f"step {step}", ha="center", size=7, color="#777777"
        )
    for sentence, text in enumerate(TEXT):
        y = 1.3 + 4.8 * sentence
        canvas.text(0.3, y + 1.6, f'"{text}"', weight="bold")
        canvas.text(3.7, y + 3.75, "mask", ha="right", size=8)
        for step, name in enumerate(step_names(text, steps)):
            x = 4.1 + 6.3 * step
            canvas.box(x, y, 5.8, 3, rounded=True)
            canvas.text(x + 2.9, y + 0.75, name, ha="center")
            for i, value in enumerate(found.bounded[sentence, step, :FIRST]):
                fill = colour(int(value))
                canvas.box(x + 0.2 + 1.2 * i, y + 1.5, 1.2, 1.2, f"{value}", fill, size=6.5)
            canvas.text(x + 5.4, y + 2.1, "\N{HORIZONTAL ELLIPSIS}", ha="center")
            kept = bool(found.bounded_mask[sentence, step])
            fill = GREEN if kept else ORANGE
            canvas.box(x, y + 3.25, 5.8, 1, f"{kept}", fill, rounded=True, size=8)
    return canvas
