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

    The forward direction reads the begin of a sentence and its tokens, the backward one its
    end and its tokens from the last to the first. Neither reads the boundary after them, on
    which no token's vector depends. Both take as many steps, in the same order.

    Attributes:
        offsets: Where each step begins in the packed order, and at last where it ends,
            int32 (steps + 1,).
        places: The place of each packed word among the distinct words of the batch, for
            the forward and the backward direction, int32 (packed,) each.
        positions: Where each token stands in the packed order of the forward and of the
            backward direction, int32 (batch, time) each, 0 at padding.
        mask: Booleans (batch, time), true at tokens.
    """

    offsets: Tensor
    places: tuple[Tensor, Tensor]
    positions: tuple[Tensor, Tensor]
    mask: Tensor


def pack(places: Tensor, mask: Tensor, begin: int | Tensor, end: int | Tensor) -> Packing:
    """Packs a batch, in the TensorFlow graph.

    ``places``, int32 (batch, time), are those of tokens among the distinct words, as
    ``begin`` and ``end`` are those of the boundaries; ``mask`` is true at tokens.
    """
    import tensorflow as tf

    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1) + 1  # (batch,)
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)  # (batch,)
    ranks = tf.math.invert_permutation(order)  # (batch,)
    n_steps = tf.reduce_max(tf.concat([[1], lengths], axis=0))  # also without sentences
    # (step, rank) of all that there is, step by step, (packed,) each
    takes_part = tf.range(n_steps)[:, None] < tf.gather(lengths, order)  # (steps, batch)
    steps, packed_ranks = tf.unstack(tf.cast(tf.where(takes_part), tf.int32), axis=1)
    counts = tf.reduce_sum(tf.cast(takes_part, tf.int32), axis=1)  # (steps,)
    offsets = tf.concat([[0], tf.cumsum(counts)], axis=0)  # (steps + 1,)

    tokens = tf.boolean_mask(places, mask)  # (tokens,)
    words = tf.concat([[begin], tokens, [end]], axis=0)  # (1 + tokens + 1,)
    sentences = tf.gather(order, packed_ranks)  # (packed,)
    # The word before a sentence's first one, and the word after its last one; step 0
    # reads a boundary in their place.
    before = tf.gather(tf.cumsum(lengths - 1, exclusive=True), sentences)  # (packed,)
    after = before + tf.gather(lengths, sentences)  # (packed,)
    forward = tf.where(steps == 0, begin, tf.gather(words, before + steps))
    backward = tf.where(steps == 0, end, tf.gather(words, after - steps))  # (packed,)

    # The boundary is step 0, the first token that is read step 1.
    forward_steps = tf.cumsum(tf.cast(mask, tf.int32), axis=1)  # (batch, time)
    backward_steps = lengths[:, None] - forward_steps  # (batch, time)
    positions = tuple(
        tf.where(mask, tf.gather(offsets, step) + ranks[:, None], 0)
        for step in (forward_steps, backward_steps)
    )
    return Packing(offsets, (forward, backward), positions, mask)
