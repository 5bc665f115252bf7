"""Sentences of different lengths, packed so that no step works on padding."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from keras_elmo import backends
from keras_elmo.layers.sentence_boundaries import around_tokens
from keras_elmo.types import Tensor


class Packing(NamedTuple):
    """The positions of the steps of all sentences when padding is left out.

    Sentences are ordered from longest to shortest. The packed order has the first steps of
    all sentences, then the second steps of all sentences that have one, and so on. So the
    sentences of each step are the first ones of the previous step, and their states are a
    slice. On JAX, where shapes cannot depend on values, each step has a row for each
    sentence, and there are steps for the whole time axis.

    The forward direction reads the start of a sentence and its tokens, the backward
    direction its end and its tokens in reverse. No token's vector depends on the boundary
    after them, so it is read only if its own vector is kept. Both directions have the same
    number of steps, in the same order.

    Attributes:
        starts: The start of each step in the packed order, int32 (steps,).
        counts: The number of sentences in each step, int32 (steps,).
        places: The index of each packed word among the distinct words of the batch, for
            the forward and the backward direction, int32 (packed,) each.
        positions: The position of each token in the packed order of the forward and of the
            backward direction, int32 (batch, time) each, 0 at padding. If boundaries are
            kept, (batch, time + 2) with them right before and after the tokens.
        mask: Booleans of that shape, false at padding.
    """

    starts: Tensor
    counts: Tensor
    places: tuple[Tensor, Tensor]
    positions: tuple[Tensor, Tensor]
    mask: Tensor


def pack(
    places: Tensor,
    mask: Tensor,
    begin: int | Tensor,
    end: int | Tensor,
    keep_boundaries: bool = False,
) -> Packing:
    """Packs a batch.

    ``places``, int32 (batch, time), are the tokens' indices among the distinct words, and
    ``begin`` and ``end`` those of the boundaries. ``mask`` is true at tokens.
    """
    batch, time = ops.shape(places)
    ones = ops.ones((batch, 1), "int32")
    places = ops.concatenate([begin * ones, places, end * ones], axis=1)
    tokens = ops.cast(mask, "int32")  # (batch, time)
    bounded = ops.concatenate([ones, tokens, ones], axis=1)  # (batch, time + 2)
    lengths = ops.sum(bounded, axis=1, keepdims=True)  # (batch, 1)
    n_read = lengths if keep_boundaries else lengths - 1  # (batch, 1)
    ranks = ops.argsort(ops.argsort(-n_read[:, 0]))[:, None]  # (batch, 1)

    is_static = backends.has_static_shapes()
    n_steps = time + 1 + keep_boundaries if is_static else ops.max(n_read, initial=1)
    steps = ops.arange(n_steps, dtype="int32")  # (steps,)
    counts = ops.sum(ops.cast(n_read > steps, "int32"), axis=0)  # (steps,)
    starts = batch * steps if is_static else ops.cumsum(counts) - counts  # (steps,)
    n_packed = batch * n_steps if is_static else ops.sum(n_read)

    forward_steps = ops.cumsum(bounded, axis=1) - 1  # (batch, time + 2)
    read, positions = [], []
    if keep_boundaries:
        sources, mask = around_tokens(mask)
    for step in (forward_steps, lengths - 1 - forward_steps):
        is_read = ops.logical_and(bounded > 0, step < n_read)
        position = ops.take(starts, ops.where(is_read, step, 0)) + ranks
        slots = ops.reshape(ops.where(is_read, position, n_packed), [-1])
        words = ops.segment_sum(ops.reshape(places, [-1]), slots, n_packed + 1)
        read.append(words[:-1])  # (packed,)
        if keep_boundaries:
            position = ops.take_along_axis(position, sources, axis=1)
        else:
            position = position[:, 1:-1]  # (batch, time)
        positions.append(ops.where(mask, position, 0))
    return Packing(starts, counts, tuple(read), tuple(positions), mask)
