"""Character ids as colored cells, and the boundaries around the tokens."""

from __future__ import annotations

from pictures.canvas import BLUE, FAINT, GREEN, GREY, ORANGE, WHITE, YELLOW, Canvas
from pictures.model import TEXT, outputs

# The ids that are not bytes: nothing, both ends of a sentence, of a word, and padding.
MARKS = {0: WHITE, 257: GREEN, 258: GREEN, 259: BLUE, 260: BLUE, 261: GREY}
LEGEND = [
    (0.4, BLUE, "259, 260: begin, end of word"),
    (10.6, YELLOW, "byte + 1, its letter below"),
    (19.8, GREY, "261: padding"),
    (25.4, WHITE, "0: no token"),
]


def color(character_id: int) -> str:
    return MARKS.get(character_id, YELLOW)


def step_names(text: str, steps: int) -> list[str]:
    """What stands at each step of a sentence with boundaries."""
    tokens = [f'"{token}"' for token in text.split()]
    padding = ["padding"] * (steps - 2 - len(tokens))
    return ["begin", *tokens, *padding, "end"]


def character_ids() -> Canvas:
    """The tokens of both sentences, a row for each: the first ids, and the last one."""
    ids = outputs().ids  # (2, 2, 50)
    canvas = Canvas(32, 13)
    places = {column: 7 + 2.2 * column for column in range(9)} | {49: 7 + 2.2 * 9.6}
    for column, x in places.items():
        canvas.text(x + 1.1, 0.8, f"{column + 1}", ha="center", size=7, color=FAINT)
    y = 1.5
    for text, rows in zip(TEXT, ids, strict=True):
        canvas.text(0.3, y + 1.8, f'"{text}"', weight="bold")
        names = [f'"{token}"' for token in text.split()] + ["no token"]
        for name, row in zip(names, rows, strict=False):
            canvas.text(6.7, y + 0.85, name, ha="right")
            for column, x in places.items():
                _cell(canvas, x, y, int(row[column]))
            canvas.text(places[49] - 0.65, y + 0.85, "\N{HORIZONTAL ELLIPSIS}", ha="center")
            y += 1.8
        y += 1
    for x, fill, text in LEGEND:
        canvas.box(x, y - 0.2, 0.9, 0.9, fill=fill)
        canvas.text(x + 1.2, y + 0.25, text, size=8)
    return canvas


def _cell(canvas: Canvas, x: float, y: float, character_id: int) -> None:
    canvas.box(x, y, 2.2, 1.7, fill=color(character_id))
    is_mark = character_id in MARKS
    canvas.text(x + 1.1, y + (0.85 if is_mark else 0.55), f"{character_id}", ha="center")
    if not is_mark:
        canvas.text(x + 1.1, y + 1.25, chr(character_id - 1), ha="center", size=7)


def sentence_boundaries() -> Canvas:
    """Four steps of each sentence: their first ids, and whether they count."""
    found = outputs()
    canvas = Canvas(32, 11)
    steps = found.bounded.shape[1]
    for step in range(steps):
        canvas.text(7 + 6.3 * step, 0.7, f"step {step}", ha="center", size=7, color=FAINT)
    for sentence, text in enumerate(TEXT):
        y = 1.3 + 4.8 * sentence
        canvas.text(0.3, y + 1.6, f'"{text}"', weight="bold")
        canvas.text(3.7, y + 3.75, "mask", ha="right", size=8)
        for step, name in enumerate(step_names(text, steps)):
            x = 4.1 + 6.3 * step
            canvas.box(x, y, 5.8, 3, rounded=True)
            canvas.text(x + 2.9, y + 0.75, name, ha="center")
            for i, value in enumerate(found.bounded[sentence, step, :4].tolist()):
                left = x + 0.2 + 1.2 * i
                canvas.box(left, y + 1.5, 1.2, 1.2, f"{value}", color(value), size=6.5)
            canvas.text(x + 5.4, y + 2.1, "\N{HORIZONTAL ELLIPSIS}", ha="center")
            kept = bool(found.bounded_mask[sentence, step])
            fill = GREEN if kept else ORANGE
            canvas.box(x, y + 3.25, 5.8, 1, f"{kept}", fill, rounded=True, size=8)
    return canvas
