"""Sentences of different lengths, packed so that no step works on padding."""

from __future__ import annotations

from typing import NamedTuple

from keras_elmo.types import Tensor


class Packing(NamedTuple):
    """Where each step of each sentence stands once padding is left out.

    Sentences are ordered from the longest to the shortest. The packed order is step by
    step: the first steps of all sentences, the second steps of all that have one, and so
    on. The sentences that take part in a step are then the first of those that took part
    in the step before, and their states are a slice.

    The steps of a sentence are its begin, its tokens and its end. The backward direction
    takes them the other way round; it takes as many, so that both share the same order.

    Attributes:
        offsets: Where each step begins in the packed order, and at last where it ends,
            int32 (steps + 1,).
        places: The place of each packed word among the distinct words of the batch, for
            the forward and the backward direction, int32 (packed,) each.
        positions: Where each token stands in the packed order of the forward and of the
            backward direction, int32 (batch, time) each. At padding they have no meaning.
        mask: Booleans (batch, time), true at tokens.
    """

    offsets: Tensor
    places: tuple[Tensor, Tensor]
    positions: tuple[Tensor, Tensor]
    mask: Tensor


def pack(places: Tensor, mask: Tensor, begin: int | Tensor, end: int | Tensor) -> Packing:
    """Packs a batch, in the TensorFlow graph.

    Args:
        places: The place of each token among the distinct words, int32 (batch, time).
        mask: Booleans (batch, time), true at tokens. Padding may stand anywhere.
        begin: The place of the begin of sentence among the distinct words.
        end: The place of the end of sentence.

    Returns:
        Where everything stands.
    """
    import tensorflow as tf

    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1) + 2  # (batch,)
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)  # (batch,)
    ranks = tf.math.invert_permutation(order)  # (batch,)
    n_steps = tf.reduce_max(tf.concat([[2], lengths], axis=0))  # also without sentences
    # (step, rank) of all that there is, step by step, (packed,) each
    takes_part = tf.range(n_steps)[:, None] < tf.gather(lengths, order)  # (steps, batch)
    steps, packed_ranks = tf.unstack(tf.cast(tf.where(takes_part), tf.int32), axis=1)
    counts = tf.reduce_sum(tf.cast(takes_part, tf.int32), axis=1)  # (steps,)
    offsets = tf.concat([[0], tf.cumsum(counts)], axis=0)  # (steps + 1,)

    tokens = tf.ragged.boolean_mask(places, mask)  # (batch, ragged)
    boundary = tf.ones_like(lengths)[:, None]  # (batch, 1)
    bounded = tf.concat([boundary * begin, tokens, boundary * end], axis=1)
    sentences = tf.gather(order, packed_ranks)  # (packed,)
    first = tf.gather(bounded.row_starts(), sentences)  # (packed,)
    first = tf.cast(first, tf.int32)
    last = first + tf.gather(lengths, sentences) - 1  # (packed,)
    forward = tf.gather(bounded.flat_values, first + steps)  # (packed,)
    backward = tf.gather(bounded.flat_values, last - steps)  # (packed,)

    # The begin of sentence is step 0, the first token step 1.
    token_steps = tf.cumsum(tf.cast(mask, tf.int32), axis=1)  # (batch, time)
    from_end = lengths[:, None] - 1 - token_steps  # (batch, time)
    positions = tuple(
        tf.gather(offsets, step) + ranks[:, None] for step in (token_steps, from_end)
    )
    return Packing(offsets, (forward, backward), positions, mask)
