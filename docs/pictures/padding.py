"""States that are carried over padding."""

from __future__ import annotations

import keras
import numpy as np

from keras_elmo import layers as stages
from pictures.canvas import Canvas
from pictures.model import CONFIG, model

WITHOUT, WITH = [["Hi", "there"]], [["Hi", "", "there"]]
NAMES = ("begin", '"Hi"', "padding", '"there"', "end")
GAP = 2  # the step of the padding
DIRECTIONS = (
    ("forward", "\N{RIGHTWARDS ARROW}", 4),
    ("backward", "\N{LEFTWARDS ARROW}", 18.4),
)


def states(tokens: list[list[str]]) -> np.ndarray:
    """The first layer's hidden states after each step of a sentence, (2, steps, 8).

    Stepped by hand, forward and backward, both in the order of the text: at a masked step
    h and c stay as they are.
    """
    encoder, bilm, _ = model()
    ids = stages.SentenceBoundaries()(stages.CharacterIds("tokens")(tokens))
    mask = stages.TokenMask()(ids)[0].numpy()  # (steps,)
    vectors = encoder(ids)[0].numpy()  # (steps, 8)
    both = []
    for lstm, order in ((bilm.forward_lstms[0], 1), (bilm.backward_lstms[0], -1)):
        h, c = np.zeros((1, CONFIG.projection_dim)), np.zeros((1, CONFIG.dim))
        found = []
        for vector, is_token in zip(vectors[::order], mask[::order], strict=True):
            if is_token:
                _, (h, c) = lstm.cell(vector[None], [h, c])
            found.append(keras.ops.convert_to_numpy(h)[0])
        both.append(found[::order])
    return np.array(both)


def padding() -> Canvas:
    """Forward and backward states side by side, without padding and with it."""
    plain, padded = states(WITHOUT), states(WITH)  # (2, 4, 8), (2, 5, 8)
    canvas = Canvas(32, 14.2)
    width, height = cell = 2.4, 0.5
    for y, text in ((4.2, "without"), (9.6, "with"), (10.5, "padding"), (5.1, "padding")):
        canvas.text(0.2, y, text, size=8)
    for direction, (name, arrow, left) in enumerate(DIRECTIONS):
        canvas.text(left, 0.8, f"{name} h, read {arrow}", weight="bold")
        middle = [left + width * (step + 0.5) for step in range(len(NAMES))]
        for x, text in zip(middle, NAMES, strict=True):
            canvas.text(x, 2, text, ha="center", size=8)
        before, after = plain[direction, :GAP].T, plain[direction, GAP:].T  # (8, 2)
        canvas.heat(left, 2.7, before, f"{name} before", cell)
        canvas.heat(left + width * (GAP + 1), 2.7, after, f"{name} after", cell)
        canvas.heat(left, 8.1, padded[direction].T, f"{name} padded", cell)
        canvas.frame(left + width * GAP, 8.1, width, 8 * height)
        # From the step that is read before the padding to the padding.
        start, end = middle[GAP + 1 if direction else GAP - 1], middle[GAP]
        bend = f"arc3,rad={-0.4 if direction else 0.4}"
        canvas.arrow((start, 12.2), (end, 12.2), connectionstyle=bend)
        canvas.text((start + end) / 2, 13.3, "carried on", ha="center", size=8)
    canvas.scale(1.2, 13)
    return canvas
