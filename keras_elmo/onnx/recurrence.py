"""The LSTMs of both directions over packed sentences, in an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_elmo.config import ElmoConfig
from keras_elmo.onnx.graph import FLOAT, Graph, States
from keras_elmo.onnx.matrices import Matrix
from keras_elmo.onnx.packing import Packing
from keras_elmo.types import Arrays
from keras_elmo.weights.names import lstm_prefix

# This many rows of inputs are multiplied with the kernel at once; of the first layer's, the
# distinct words among more rows.
_ROWS_AT_ONCE, _WORDS_AT_ONCE = 1024, 4096


class Cell:
    """An LSTM's matrices in the graph, its gates in the order i, f, o, candidate."""

    def __init__(self, config: ElmoConfig, arrays: Arrays, prefix: str, int8: bool) -> None:
        self.config = config

        def ordered(array: Any) -> Any:
            i, j, f, o = np.split(array, 4, axis=-1)
            return np.concatenate([i, f, o, j], axis=-1)

        kernel = ordered(arrays[f"{prefix}/W_0"])  # (2 * projection_dim, 4 * dim)
        self.inputs, self.state = (Matrix(part, int8) for part in np.split(kernel, 2))
        self.projection = None
        if config.has_lstm_projection:
            self.projection = Matrix(arrays[f"{prefix}/W_P_0"], int8)
        forget_bias = np.repeat(np.array([0, 1, 0, 0], np.float32), config.dim)
        self.bias = ordered(arrays[f"{prefix}/B"]) + forget_bias  # (4 * dim,)

    def step(self, g: Graph, inputs: str, h: str, c: str) -> tuple[str, str]:
        """From the inputs' part in the gates (rows, 4 * dim) and the states to new ones."""
        config = self.config
        sums = self.state(g, h, inputs)  # (rows, 4 * dim)
        opened, j = g.Split(sums, [3 * config.dim, config.dim], n_outputs=2, axis=1)
        i, f, o = g.Split(g.Sigmoid(opened), n_outputs=3, axis=1)  # (rows, dim) each
        c = g.Add(g.Mul(f, c), g.Mul(i, g.Tanh(j)))
        c = _clip(g, c, config.cell_clip)  # (rows, dim)
        h = g.Mul(o, g.Tanh(c))  # (rows, dim)
        if self.projection is not None:
            h = self.projection(g, h, None)
            h = _clip(g, h, config.projection_clip)  # (rows, projection_dim)
        return h, c


def _clip(g: Graph, x: str, limit: float | None) -> str:
    return x if limit is None else str(g.Clip(x, -limit, limit))


def run_layer(
    g: Graph, packing: Packing, cells: list[Cell], inputs: list[str], of_words: bool
) -> list[str]:
    """Runs both directions of a layer, in one loop: (packed, projection_dim) each.

    ``inputs`` are the vectors of words (words, projection_dim), the same for both, or what
    the layer below returned.
    """
    config = cells[0].config
    n_rows = packing.n_rows
    at_once = _WORDS_AT_ONCE if of_words else _ROWS_AT_ONCE
    steps_at_once = g.Max(g.Div(at_once, g.Max(n_rows, 1)), 1)  # ()
    n_loops = g.Div(g.Sub(g.Add(packing.n_steps, steps_at_once), 1), steps_at_once)

    def zeros(rows: Any, size: int) -> str:
        return str(g.ConstantOfShape(g.Concat(rows, [size], axis=0)))

    def several_steps(g: Graph, loop: str, *states: str) -> tuple[States, States]:
        begin = g.Mul(loop, steps_at_once)  # ()
        end = g.Min(g.Add(begin, steps_at_once), packing.n_steps)
        first, last = (_at(g, packing.offsets, step) for step in (begin, end))
        tables, rows = [], []
        for cell, x, places in zip(cells, inputs, packing.places, strict=True):
            if of_words:
                here = g.Slice(places, first, last)
                words, _, place, _ = g.Unique(here, n_outputs=4, sorted=0)
                x = g.Gather(x, words)
                rows.append(place)
            else:
                x = g.Slice(x, first, last, [0])
            tables.append(cell.inputs(g, x, cell.bias))

        def one_step(g: Graph, step: str, *states: str) -> tuple[States, States]:
            step = g.Add(begin, step)
            start = g.Sub(_at(g, packing.offsets, step), first)  # (1,)
            stop = g.Sub(_at(g, packing.offsets, g.Add(step, 1)), first)
            n = g.Sub(stop, start)
            after, padded = [], []
            more = g.Concat([0, 0], g.Sub(g.Reshape(n_rows, [1]), n), [0], axis=0)
            for k, cell in enumerate(cells):
                if of_words:
                    x = g.Gather(tables[k], g.Slice(rows[k], start, stop))
                else:
                    x = g.Slice(tables[k], start, stop, [0])
                h, c = (g.Slice(s, [0], n, [0]) for s in states[2 * k : 2 * k + 2])
                h, c = cell.step(g, x, h, c)
                after += [h, c]
                padded.append(g.Pad(h, more))  # (batch, projection_dim)
            return after, padded

        *states_after, forward, backward = g.loop(
            g.Sub(end, begin), states[:4], 2, one_step
        )
        slots = g.Sub(g.Slice(packing.slots, first, last), g.Mul(begin, n_rows))
        found = []
        for before, stacked in zip(states[4:], (forward, backward), strict=True):
            flat = g.Reshape(stacked, [-1, config.projection_dim])
            found.append(g.Concat(before, g.Gather(flat, slots), axis=0))
        return [*states_after, *found], []

    rows = g.Reshape(n_rows, [1])
    h, c = zeros(rows, config.projection_dim), zeros(rows, config.dim)
    nothing = zeros([0], config.projection_dim)
    return g.loop(n_loops, [h, c, h, c, nothing, nothing], 0, several_steps)[4:]


def _at(g: Graph, x: str, place: str) -> str:
    return str(g.Gather(x, g.Reshape(place, [1])))  # (1,)


def layers_of(
    g: Graph,
    packing: Packing,
    vectors: str,
    config: ElmoConfig,
    arrays: Arrays,
    depth: int,
    int8: bool,
) -> list[str]:
    """All layers (batch, time, 2 * projection_dim); zeros at padding."""
    unmasked = g.Unsqueeze(g.Cast(packing.mask, to=FLOAT), [2])  # (batch, time, 1)
    tokens = g.Gather(vectors, packing.tokens)  # (batch, time, projection_dim)
    layers = [g.Mul(g.Concat(tokens, tokens, axis=2), unmasked)]
    x = [vectors, vectors]
    for k in range(depth):
        cells = [Cell(config, arrays, lstm_prefix(d, k), int8) for d in (0, 1)]
        y = run_layer(g, packing, cells, x, of_words=k == 0)
        if config.use_skip_connections and k > 0:
            y = [g.Add(*pair) for pair in zip(x, y, strict=True)]
        x = y  # (packed, projection_dim) each
        both = map(g.Gather, x, packing.positions)
        layers.append(g.Mul(g.Concat(*both, axis=2), unmasked))
    return layers
