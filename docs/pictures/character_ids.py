"""Character ids as a grid of coloured marks."""

from __future__ import annotations

from pictures.canvas import BLUE, GREEN, GREY, WHITE, YELLOW, Canvas
from pictures.model import TEXT, outputs

# What an id stands for, and its colour.
MARKS = {
    0: ("no token", WHITE),
    257: ("begin of sentence", GREEN),
    258: ("end of sentence", GREEN),
    259: ("begin of word", BLUE),
    260: ("end of word", BLUE),
    261: ("padding", GREY),
}
BYTE = YELLOW
FIRST = 9  # ids that are shown, besides the last one


def colour(character_id: int) -> str:
    """The colour of a cell."""
    return MARKS[character_id][1] if character_id in MARKS else BYTE


def character_ids() -> Canvas:
    """The tokens of both sentences, a row for each."""
    ids = outputs().ids  # (2, 2, 50)
    canvas = Canvas(32, 13)
    columns = [*range(FIRST), ids.shape[-1] - 1]
    places = [7 + 2.2 * column for column in (*range(FIRST), FIRST + 0.6)]
    for place, column in zip(places, columns, strict=True):
        canvas.text(place + 1.1, 0.8, f"{column + 1}", ha="center", size=7, color="#777777")
    y = 1.5
    for sentence, (text, rows) in enumerate(zip(TEXT, ids, strict=True)):
        canvas.text(0.3, y + 1.8, f'"{text}"', weight="bold")
        for token, row in enumerate(rows):
            tokens = text.split()
            name = f'"{tokens[token]}"' if token < len(tokens) else "no token"
            canvas.text(6.7, y + 0.85, name, ha="right")
            for place, column in zip(places, columns, strict=True):
                _cell(canvas, place, y, int(row[column]))
            canvas.text(places[-1] - 0.65, y + 0.85, "\N{HORIZONTAL ELLIPSIS}", ha="center")
            y += 1.8
        y += 1 if sentence == 0 else 0
    _legend(canvas, y + 0.8)
    return canvas


def _cell(canvas: Canvas, x: float, y: float, character_id: int) -> None:
    canvas.box(x, y, 2.2, 1.7, fill=colour(character_id))
    is_mark = character_id in MARKS
    canvas.text(x + 1.1, y + (0.85 if is_mark else 0.55), f"{character_id}", ha="center")
    if not is_mark:
        canvas.text(x + 1.1, y + 1.25, chr(character_id - 1), ha="center", size=7)


def _legend(canvas: Canvas, y: float) -> None:
    kinds = [
        (BLUE, "259, 260: begin, end of word"),
        (BYTE, "byte + 1, its letter below"),
        (GREY, "261: padding"),
        (WHITE, "0: no token"),
    ]
    for x, (fill, text) in zip((0.4, 10.6, 19.8, 25.4), kinds, strict=True):
        canvas.box(x, y, 0.9, 0.9, fill=fill)
        canvas.text(x + 1.2, y + 0.45, text, size=8)
