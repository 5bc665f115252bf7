"""ELMo in NumPy: slow, in float64, one sentence, one token and one step at a time.

Written from the papers and the file format, not from the layers, to check them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig

Array = NDArray[np.float64]
State = dict[tuple[int, int], tuple[Array, Array]]
"""h and c by (layer, direction)."""


class NumpyElmo:
    """A biLM that turns one sentence at a time into its layers."""

    def __init__(self, config: ElmoConfig, arrays: dict[str, np.ndarray]) -> None:
        self.config = config
        self.arrays = {name: array.astype(np.float64) for name, array in arrays.items()}

    def layers(self, tokens: Sequence[bytes], state: State | None = None) -> Array:
        """The layers (time + 2, n_layers + 1, 2 * projection_dim), boundaries included.

        ``state`` is where the LSTMs start, and afterwards where they ended; zeros at first.
        """
        words = [[256], *(list(token) for token in tokens), [257]]
        vectors = np.stack([self.token_vector(word) for word in words])
        state = {} if state is None else state
        outputs = [np.concatenate([vectors, vectors], axis=-1)]
        directions = [vectors, vectors[::-1]]
        for layer in range(self.config.n_layers):
            for direction, x in enumerate(directions):
                directions[direction] = self.lstm(x, layer, direction, state)
                if self.config.use_skip_connections and layer > 0:
                    directions[direction] += x
            forward, backward = directions
            outputs.append(np.concatenate([forward, backward[::-1]], axis=-1))
        return np.stack(outputs, axis=1)

    def token_vector(self, word: Sequence[int]) -> Array:
        """The vector (projection_dim,) of one word, given as bytes or as [256], [257]."""
        if self.config.lexicon is not None:  # of words alone
            words = self.config.lexicon.words
            begin, end, unknown = self.config.lexicon.special
            marks = {(256,): begin, (257,): end}
            text = marks.get(tuple(word)) or bytes(word).decode()
            return self.arrays["embedding"][words.index(text if text in words else unknown)]
        length = self.config.max_characters_per_token
        characters = [258, *word[: length - 2], 259]
        characters += [260] * (length - len(characters))
        embedded = self.arrays["char_embed"][characters]  # ids are these + 1, rows - 1
        pieces = []
        for i, (width, _) in enumerate(self.config.filters):
            kernel, bias = self.arrays[f"CNN/W_cnn_{i}"][0], self.arrays[f"CNN/b_cnn_{i}"]
            windows = [
                sum(embedded[start + k] @ kernel[k] for k in range(width)) + bias
                for start in range(length - width + 1)
            ]
            highest = np.max(windows, axis=0)
            relu = self.config.activation == "relu"
            pieces.append(np.maximum(highest, 0) if relu else np.tanh(highest))
        x = np.concatenate(pieces)
        for i in range(self.config.n_highway):
            names = ("W_carry", "b_carry", "W_transform", "b_transform")
            w_c, b_c, w_t, b_t = (self.arrays[f"CNN_high_{i}/{name}"] for name in names)
            gate = _sigmoid(x @ w_c + b_c)
            x = gate * np.maximum(x @ w_t + b_t, 0) + (1 - gate) * x
        if "CNN_proj/W_proj" in self.arrays:
            x = x @ self.arrays["CNN_proj/W_proj"] + self.arrays["CNN_proj/b_proj"]
        return x

    def lstm(self, inputs: Array, layer: int, direction: int, state: State) -> Array:
        """One LSTM over inputs (time, projection_dim) in the order it reads them."""
        prefix = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
        kernel, bias = self.arrays[prefix + "W_0"], self.arrays[prefix + "B"]
        projection = self.arrays.get(prefix + "W_P_0")
        zeros = np.zeros(self.config.projection_dim), np.zeros(self.config.dim)
        h, c = state.get((layer, direction), zeros)
        outputs = []
        for x in inputs:
            i, j, f, o = np.split(np.concatenate([x, h]) @ kernel + bias, 4)
            c = _sigmoid(f + 1) * c + _sigmoid(i) * np.tanh(j)
            c = _clip(c, self.config.cell_clip)
            h = _sigmoid(o) * np.tanh(c)
            if projection is not None:
                h = _clip(h @ projection, self.config.projection_clip)
            outputs.append(h)
        state[layer, direction] = h, c
        return np.stack(outputs)


def scalar_mix(layers: Array, weights: Sequence[float], gamma: float) -> Array:
    """The mix of layers (..., n, dim)."""
    exponents = np.exp(np.asarray(weights, np.float64))
    shares = exponents / exponents.sum()
    return gamma * sum(share * layers[..., k, :] for k, share in enumerate(shares))


def relative_error(found: np.ndarray, expected: Array) -> float:
    """The largest difference as a share of the largest expected value."""
    assert found.shape == expected.shape
    if expected.size == 0:
        return 0.0
    largest = np.abs(expected).max()
    return float(np.abs(found - expected).max() / (largest or 1.0))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _clip(x: Array, limit: float | None) -> Array:
    return x if limit is None else np.clip(x, -limit, limit)
