"""Sentences of different lengths, packed so that no step works on padding."""

from __future__ import annotations

from typing import NamedTuple

from keras_elmo.layers.sentence_boundaries import around_tokens
from keras_elmo.types import Tensor


class Packing(NamedTuple):
    """The positions of the steps of all sentences when padding is left out.

    Sentences are ordered from longest to shortest. The packed order has the first steps of
    all sentences, then the second steps of all sentences that have one, and so on. So the
    sentences of each step are the first ones of the previous step, and their states are a
    slice.

    The forward direction reads the start of a sentence and its tokens, the backward
    direction its end and its tokens in reverse. No token's vector depends on the boundary
    after them, so it is read only if its own vector is kept. Both directions have the same
    number of steps, in the same order.

    Attributes:
        offsets: The start of each step in the packed order, and the end of the last one,
            int32 (steps + 1,).
        places: The index of each packed word among the distinct words of the batch, for
            the forward and the backward direction, int32 (packed,) each.
        positions: The position of each token in the packed order of the forward and of the
            backward direction, int32 (batch, time) each, 0 at padding. If boundaries are
            kept, (batch, time + 2) with them right before and after the tokens.
        mask: Booleans of that shape, false at padding.
    """

    offsets: Tensor
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
    """Packs a batch, in the TensorFlow graph.

    ``places``, int32 (batch, time), are the tokens' indices among the distinct words, and
    ``begin`` and ``end`` those of the boundaries. ``mask`` is true at tokens.
    """
    import tensorflow as tf

    places = tf.pad(places, [[0, 0], [1, 0]], constant_values=begin)
    places = tf.pad(places, [[0, 0], [0, 1]], constant_values=end)  # (batch, time + 2)
    bounded = tf.pad(mask, [[0, 0], [1, 1]], constant_values=True)  # (batch, time + 2)
    lengths = tf.reduce_sum(tf.cast(bounded, tf.int32), axis=1)  # (batch,)
    n_read = lengths if keep_boundaries else lengths - 1  # (batch,)
    order = tf.argsort(n_read, direction="DESCENDING", stable=True)  # (batch,)
    ranks = tf.math.invert_permutation(order)  # (batch,)
    n_steps = tf.reduce_max(tf.concat([[1], n_read], axis=0))  # also without sentences
    # (step, rank) of everything that is read, step by step, (packed,) each
    takes_part = tf.range(n_steps)[:, None] < tf.gather(n_read, order)  # (steps, batch)
    steps, packed_ranks = tf.unstack(tf.cast(tf.where(takes_part), tf.int32), axis=1)
    counts = tf.reduce_sum(tf.cast(takes_part, tf.int32), axis=1)  # (steps,)
    offsets = tf.concat([[0], tf.cumsum(counts)], axis=0)  # (steps + 1,)

    words = tf.boolean_mask(places, bounded)  # (tokens + 2 * batch,)
    sentences = tf.gather(order, packed_ranks)  # (packed,)
    first = tf.gather(tf.cumsum(lengths, exclusive=True), sentences)  # (packed,)
    last = first + tf.gather(lengths, sentences) - 1  # (packed,)
    read = tf.gather(words, first + steps), tf.gather(words, last - steps)  # (packed,)

    forward_steps = tf.cumsum(tf.cast(bounded, tf.int32), axis=1) - 1  # (batch, time + 2)
    both_steps = forward_steps, lengths[:, None] - 1 - forward_steps
    if keep_boundaries:
        sources, mask = around_tokens(mask)
        both_steps = tuple(tf.gather(s, sources, batch_dims=1) for s in both_steps)
    else:
        both_steps = tuple(s[:, 1:-1] for s in both_steps)  # (batch, time)
    positions = tuple(
        tf.where(mask, tf.gather(offsets, step) + ranks[:, None], 0) for step in both_steps
    )
    return Packing(offsets, read, positions, mask)
