"""Sentences of different lengths, packed, in an ONNX graph."""

from __future__ import annotations

from typing import NamedTuple

from keras_elmo.onnx.graph import BOOL, INT64, Graph
from keras_elmo.onnx.words import BEGIN, END


class Packing(NamedTuple):
    """:class:`keras_elmo.layers.packing.Packing` in the graph, and what loops need."""

    n_rows: str  # sentences, ()
    n_steps: str  # ()
    offsets: str  # (steps + 1,)
    slots: str  # the places of packed words among steps times rows, (packed,)
    places: tuple[str, str]  # (packed,) each
    positions: tuple[str, str]  # (batch, time) each, or time + 2
    tokens: str  # places in the same form
    mask: str  # in the same form


def pack(g: Graph, places: str, mask: str, keep_boundaries: bool) -> Packing:
    """Packs places (batch, time) as :func:`keras_elmo.layers.packing.pack` does."""
    n_tokens = g.Cast(mask, to=INT64)  # (batch, time)
    places = g.Pad(places, [0, 1, 0, 0], BEGIN)
    places = g.Pad(places, [0, 0, 0, 1], END)  # (batch, time + 2)
    bounded = g.Pad(n_tokens, [0, 1, 0, 1], 1)  # (batch, time + 2)
    lengths = g.ReduceSum(bounded, [1], keepdims=0)  # (batch,)
    n_read = lengths if keep_boundaries else g.Sub(lengths, 1)  # (batch,)
    n_rows = g.Shape(n_read)  # (1,)
    n_read, order = g.TopK(n_read, n_rows, n_outputs=2)  # (batch,)
    _, ranks = g.TopK(order, n_rows, n_outputs=2, largest=0)  # (batch,)
    n_steps = g.ReduceMax(g.Concat([1], n_read, axis=0), axes=[0], keepdims=0)  # ()
    steps = g.Range(0, n_steps, 1)  # (steps,)
    takes_part = g.Less(g.Unsqueeze(steps, [1]), n_read)  # (steps, batch)
    counts = g.ReduceSum(g.Cast(takes_part, to=INT64), [1], keepdims=0)  # (steps,)
    offsets = g.Concat([0], g.CumSum(counts, 0), axis=0)  # (steps + 1,)
    packed = g.NonZero(takes_part)  # (2, packed)
    steps, packed_ranks = g.Gather(packed, 0), g.Gather(packed, 1)  # (packed,)

    words = g.Compress(places, g.Reshape(g.Cast(bounded, to=BOOL), [-1]))  # (words,)
    sentences = g.Gather(order, packed_ranks)  # (packed,)
    first = g.Gather(g.CumSum(lengths, 0, exclusive=1), sentences)  # (packed,)
    last = g.Sub(g.Add(first, g.Gather(lengths, sentences)), 1)  # (packed,)
    read = g.Gather(words, g.Add(first, steps)), g.Gather(words, g.Sub(last, steps))

    forward = g.Sub(g.CumSum(bounded, 1), 1)  # (batch, time + 2)
    backward = g.Sub(g.Sub(g.Unsqueeze(lengths, [1]), 1), forward)
    if keep_boundaries:
        sources, mask = _around_tokens(g, mask)
        moved = [g.GatherElements(x, sources, axis=1) for x in (forward, backward, places)]
    else:
        moved = [g.Slice(x, [1], [-1], [1]) for x in (forward, backward, places)]
    *both, tokens = moved

    def position(step: str) -> str:
        found = g.Add(g.Gather(offsets, step), g.Unsqueeze(ranks, [1]))
        return str(g.Where(mask, found, 0))

    return Packing(
        g.Squeeze(n_rows),
        n_steps,
        offsets,
        g.Add(g.Mul(steps, n_rows), packed_ranks),
        read,
        (position(both[0]), position(both[1])),
        tokens,
        mask,
    )


def _around_tokens(g: Graph, mask: str) -> tuple[str, str]:
    """:func:`keras_elmo.layers.sentence_boundaries.around_tokens` in the graph."""
    time = g.Gather(g.Shape(mask), 1)  # ()
    tokens = g.Range(0, time, 1)  # (time,)
    last = g.ReduceMax(g.Where(mask, tokens, -1), axes=[1])  # (batch, 1)
    first = g.ReduceMin(g.Where(mask, tokens, time), axes=[1])  # (batch, 1)
    first = g.Where(g.Less(last, 0), 0, first)  # (batch, 1)
    steps = g.Unsqueeze(g.Range(0, g.Add(time, 2), 1), [0])  # (1, time + 2)
    is_begin = g.Equal(steps, first)  # (batch, time + 2)
    is_end = g.Equal(steps, g.Add(last, 2))  # (batch, time + 2)
    sources = g.Where(is_begin, 0, g.Where(is_end, g.Add(time, 1), steps))
    is_token = g.Cast(g.Pad(g.Cast(mask, to=INT64), [0, 1, 0, 1]), to=BOOL)
    return sources, g.Or(is_token, g.Or(is_begin, is_end))
