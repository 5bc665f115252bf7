"""One token on its way through the token encoder."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np

from pictures.canvas import Canvas
from pictures.model import model, outputs

NAMES = ("begin", "H", "i", "end", "padding", "padding")
SHOWN = len(NAMES)  # characters; each one after them is padding like the last one


class Steps(NamedTuple):
    """What the token "Hi" becomes, step by step."""

    characters: np.ndarray  # (50, 4)
    responses: list[np.ndarray]  # (50, 8) of width 1, (49, 8) of width 2
    x: np.ndarray  # (16,)
    gate: np.ndarray  # (16,)
    y: np.ndarray  # (16,)
    vector: np.ndarray  # (8,)


def steps() -> Steps:
    """Computes them from the encoder's weights, as the page's equations say."""
    encoder = model().encoder
    ids = outputs().bounded[0, 1]  # (50,)
    characters = encoder.char_embedding.numpy()[ids - 1]  # (50, 4)
    responses, maxima = [], []
    for kernel, bias in encoder.convolutions:
        windows = keras.ops.conv(characters[None], kernel, padding="valid")[0]
        responses.append(keras.ops.convert_to_numpy(windows))  # (51 - width, 8)
        maxima.append(responses[-1].max(axis=0) + bias.numpy())  # (8,)
    x = np.maximum(np.concatenate(maxima), 0)  # (16,)
    carry, carry_bias, transform, transform_bias = encoder.highways[0].get_weights()
    gate = 1 / (1 + np.exp(-(x @ carry + carry_bias)))  # (16,)
    y = gate * np.maximum(x @ transform + transform_bias, 0) + (1 - gate) * x  # (16,)
    assert encoder.projection is not None
    kernel, bias = encoder.projection.get_weights()
    return Steps(characters, responses, x, gate, y, y @ kernel + bias)


def token_vectors() -> Canvas:
    """From characters on the left to a vector at the bottom."""
    found = steps()
    canvas = Canvas(32, 22.5, largest=3)
    top, left = 2.5, (4, 11, 20)
    canvas.text(left[0], 0.7, "embeddings")
    canvas.text(left[0], 1.7, "(50, 4)", size=7)
    canvas.rows(3.6, top, NAMES, height=1)
    canvas.text(3.6, top + SHOWN + 0.6, "\N{VERTICAL ELLIPSIS}", ha="right")
    canvas.heat(left[0], top, found.characters[:SHOWN], "characters")
    canvas.arrow((8.4, top + SHOWN / 2), (10.6, top + SHOWN / 2))
    for width, (x, windows) in enumerate(zip(left[1:], found.responses, strict=True), 1):
        canvas.text(x, 0.7, f"8 filters of width {width}")
        canvas.text(x, 1.7, f"{windows.shape}", size=7)
        canvas.heat(x, top, windows[:SHOWN], f"responses {width}")
        for column, row in enumerate(windows.argmax(axis=0)):
            canvas.frame(x + column + 0.04, top + min(row, SHOWN - 1) + 0.04, 0.92, 0.92)
        canvas.text(x + 4, top + SHOWN + 0.6, "\N{VERTICAL ELLIPSIS}", ha="center")
        canvas.arrow((x + 4, top + SHOWN + 1.1), (x + 4, 11))
    canvas.text(16.1, 10.1, "the largest", size=8)
    for y, name, title, values in (
        (11.2, "x", "x = relu(maxima + b)", found.x),
        (13.7, "gate", "gate g", found.gate),
        (16.2, "y", "highway output y", found.y),
    ):
        canvas.text(10.6, y + 0.5, title, ha="right")
        canvas.heat(left[1], y, values[:8], f"{name} of width 1", numbers=True)
        canvas.heat(left[2], y, values[8:], f"{name} of width 2", numbers=True)
        canvas.text(28.4, y + 0.5, f"{values.shape}", size=7)
        canvas.arrow((19.5, y + 1.2), (19.5, y + 2.3))
    canvas.text(10.6, 19.2, "projection: token vector", ha="right")
    canvas.heat(14.1, 18.7, found.vector, "vector", (1.35, 1), numbers=True)
    canvas.text(25.3, 19.2, f"{found.vector.shape}", size=7)
    canvas.scale(2, 21.2)
    return canvas
