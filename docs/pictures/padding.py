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


def states(tokens: list[list[str]]) -> np.ndarray:
    """The hidden states of the first layer after each step, in both directions.

    Stepped by hand: at a masked step h and c stay as they are.

    Args:
        tokens: One sentence.

    Returns:
        (2, steps, 8), forward and backward, both in the order of the text.
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
    width, height = 2.4, 0.5
    canvas.text(0.2, 4.2, "without", size=8)
    canvas.text(0.2, 9.6, "with", size=8)
    canvas.text(0.2, 10.5, "padding", size=8)
    canvas.text(0.2, 5.1, "padding", size=8)
    titles = (
        "forward h, read \N{RIGHTWARDS ARROW}",
        "backward h, read \N{LEFTWARDS ARROW}",
    )
    for direction, (title, left) in enumerate(zip(titles, (4, 18.4), strict=True)):
        canvas.text(left, 0.8, title, weight="bold")
        for step, name in enumerate(NAMES):
            centre = left + width * (step + 0.5)
            canvas.text(centre, 2, name, ha="center", size=8)
        name = ("forward", "backward")[direction]
        before, behind = plain[direction, :GAP].T, plain[direction, GAP:].T  # (8, 2)
        canvas.heat(left, 2.7, before, f"{name} before", (width, height))
        x = left + width * (GAP + 1)
        canvas.heat(x, 2.7, behind, f"{name} behind", (width, height))
        canvas.heat(left, 8.1, padded[direction].T, f"{name} padded", (width, height))
        canvas.frame(left + width * GAP, 8.1, width, 8 * height)
        # From the step that is read before the padding to the padding.
        source = GAP - 1 if direction == 0 else GAP + 1
        start = (left + width * (source + 0.5), 12.2)
        end = (left + width * (GAP + 0.5), 12.2)
        bend = f"arc3,rad={-0.4 if direction else 0.4}"
        canvas.arrow(start, end, connectionstyle=bend)
        canvas.text((start[0] + end[0]) / 2, 13.3, "carried on", ha="center", size=8)
    canvas.scale(1.2, 13)
    return canvas
