"""Finds the distinct words of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_elmo import backends
from keras_elmo.layers.own_gradient import with_gradient
from keras_elmo.types import Tensor


def distinct_words(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct words of strings (batch, time) or character ids (batch, time, length).

    Token vectors do not depend on context, so each word needs to be encoded only once.
    Returns the words, (words,) or (words, length), and each token's index among them, int32
    (batch, time). In a program of JAX, where shapes cannot depend on values, there are as
    many words as tokens, the longest first, with zeros at the end.
    """
    if backends.is_in_jax_program(tokens):
        return _sorted_words(tokens)
    if not backends.is_tensorflow():
        ids = ops.convert_to_numpy(tokens)  # (batch, time, length)
        rows = ids.reshape(-1, ids.shape[-1])  # (batch * time, length)
        words, places = np.unique(rows, axis=0, return_inverse=True)
        places = places.astype(np.int32).reshape(ids.shape[:2])  # (batch, time)
        return ops.convert_to_tensor(words), ops.convert_to_tensor(places)

    import tensorflow as tf

    if tokens.dtype == tf.string:
        words, places = tf.unique(tf.reshape(tokens, [-1]))  # (words,), (batch * time,)
    else:
        rows = tf.reshape(tokens, [-1, tokens.shape[-1]])  # (batch * time, length)
        words, places = tf.raw_ops.UniqueV2(x=rows, axis=[0])
        words = tf.ensure_shape(words, (None, tokens.shape[-1]))  # (words, length)
    places = tf.reshape(places, tf.shape(tokens)[:2])  # (batch, time)
    return words, tf.ensure_shape(places, tokens.shape[:2])


# Words that are encoded at once on JAX.
_CHUNK = 256


def _sorted_words(ids: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct words of ids (batch, time, length), on JAX."""
    batch, time, length = ids.shape
    rows = ops.reshape(ids, (-1, length))  # (tokens, length)
    # Equal words have equal hashes. If others have too, a word may appear twice.
    weights = np.random.default_rng(0).integers(1 << 31, size=length, dtype=np.uint32)
    hashes = ops.sum(ops.cast(rows, "uint32") * (2 * weights + 1), axis=1)  # (tokens,)
    order = ops.argsort(hashes)  # (tokens,)
    rows = ops.take(rows, order, axis=0)  # (tokens, length)
    longest_first = ops.argsort(-lengths(rows) - ops.cast(ops.any(rows, axis=1), "int32"))
    order, rows = (ops.take(x, longest_first, axis=0) for x in (order, rows))
    is_new = ops.any(rows != ops.roll(rows, 1, axis=0), axis=1)  # (tokens,)
    is_new = ops.cast(is_new, "int32")
    ranks = ops.cumsum(is_new) - is_new[:1]  # (tokens,)
    places = ops.take(ranks, ops.argsort(order))  # (tokens,)
    words = ops.segment_max(rows, ranks, batch * time)
    return ops.maximum(words, 0), ops.reshape(places, (batch, time))


def lengths(words: Tensor) -> Tensor:
    """How many ids of words (..., length) come before all that are alike, int32 (...)."""
    before = ops.concatenate([words[..., :1], words[..., :-1]], axis=-1)
    places = ops.arange(words.shape[-1], dtype="int32")  # (length,)
    return ops.max(ops.where(words != before, places, 0), axis=-1)


def encoded_in_chunks(
    words: Tensor, encode: Callable[[Tensor], Tensor], widest: int
) -> Tensor:
    """Encodes what :func:`distinct_words` has found on JAX, without the zeros at the end.

    Each chunk takes one of a few numbers of characters; ``widest`` is the widest
    convolution.
    """
    import jax

    n_words, length = words.shape
    size = min(_CHUNK, n_words)
    words = ops.pad(words, [[0, -n_words % size], [0, 0]])
    chunks = ops.reshape(words, (-1, size, length))  # (chunks, size, length)
    n_used = ops.sum(ops.cast(ops.any(chunks, axis=(1, 2)), "int32"))
    cuts = [max(widest, -(-length // 3)), length]

    def of_chunk(chunk: Tensor) -> Tensor:
        needed = ops.max(lengths(chunk)) + widest
        which = sum(ops.cast(needed > n, "int32") for n in cuts[:-1])
        of_cuts = [lambda chunk, n=n: encode(chunk[:, :n]) for n in cuts]
        return ops.switch(which, of_cuts, chunk)  # (size, projection_dim)

    encode_with, weights = jax.closure_convert(of_chunk, chunks[0])

    def forward(integers: Any, *weights: Tensor) -> Any:
        chunks, n_used = integers
        one = jax.eval_shape(encode_with, chunks[0], *weights)
        vectors = ops.zeros((len(chunks), *one.shape), one.dtype)

        def write(i: Tensor, vectors: Tensor) -> Tensor:
            return vectors.at[i].set(encode_with(chunks[i], *weights))

        return jax.lax.fori_loop(0, n_used, write, vectors), None

    def backward(integers: Any, weights: Any, _: None, d: Tensor) -> Any:
        # Keeping what is in between would need as much memory as all tokens do.
        chunks, n_used = integers

        def add(i: Tensor, sums: list[Tensor]) -> list[Tensor]:
            of_weights = functools.partial(encode_with, chunks[i])
            _, gradient = jax.vjp(of_weights, *weights)
            return [total + one for total, one in zip(sums, gradient(d[i]), strict=True)]

        return jax.lax.fori_loop(0, n_used, add, [*map(ops.zeros_like, weights)])

    # The chunks at the end that are zeros are left out.
    vectors = with_gradient(forward, backward)((chunks, n_used), *weights)
    return ops.reshape(vectors, (-1, vectors.shape[-1]))[:n_words]
