"""Sentences to vectors, in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import NotFiniteError
from keras_elmo.text.reader import Sentence
from keras_elmo.vectors.batching import Indices, plan_batches
from keras_elmo.vectors.vectors import Vectors

Floats = NDArray[np.floating[Any]]


def _program(layer: ElmoEmbeddingLayer, vectors: Vectors) -> Callable[[Any], Any]:
    """One program from texts (batch,) to what is kept of them, for batches of any size."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None,), tf.string)]
    return tf.function(
        lambda texts: vectors.of_outputs(layer(texts)), signature, autograph=False
    ).get_concrete_function()


class Embedder:
    """Computes the vectors of sentences.

    Where memory runs out, a batch is divided, and later ones are no larger than what went
    well.

    Args:
        layer: From :func:`~keras_elmo.vectors.vectors.embedding_layer`.
        vectors: What is kept.
        dtype: How it is kept, ``"float32"`` or ``"float16"``.
        batch_size: The most sentences in a batch.
        token_budget: The most steps in a batch, padding included.
    """

    def __init__(
        self,
        layer: ElmoEmbeddingLayer,
        vectors: Vectors,
        dtype: str,
        batch_size: int,
        token_budget: int,
    ) -> None:
        import tensorflow as tf

        self.vectors = vectors
        self.dtype = np.dtype(dtype)
        self.batch_size = batch_size
        self.token_budget = token_budget
        self._out_of_memory = (MemoryError, tf.errors.ResourceExhaustedError)
        self._run = _program(layer, vectors)

    def batches(
        self, sentences: Sequence[Sentence], n_done: int = 0
    ) -> Iterator[tuple[Indices, list[Floats]]]:
        """Embeds sentences, the longest first.

        Args:
            sentences: Any number of them that fits into memory.
            n_done: How many to leave out, from the longest on.

        Yields:
            For each batch the indices of its sentences, and their vectors, as
            :meth:`arrays` gives them.
        """
        lengths = np.array([s.n_tokens for s in sentences], np.int64)  # (n,)
        order = np.argsort(-lengths, kind="stable")[n_done:]  # (n - n_done,)
        while len(order):
            plan = plan_batches(lengths[order], self.batch_size, self.token_budget)
            for places in plan:
                rows = order[places]
                try:
                    result = self.arrays([sentences[i] for i in rows])
                except self._out_of_memory as error:
                    self._back_off(len(rows), int(lengths[rows].max()), error)
                    order = order[places[0] :]
                    break
                yield rows, result
            else:
                return

    def arrays(self, sentences: Sequence[Sentence]) -> list[Floats]:
        """Embeds a batch.

        Args:
            sentences: Those of the batch.

        Returns:
            For each sentence, of n tokens, an array (n_layers + 1, n, D), (n_layers + 1, D)
            if pooled, or without the first axis where only one layer is kept.

        Raises:
            NotFiniteError: One does not fit the dtype.
        """
        import tensorflow as tf

        texts = tf.constant([s.tokens for s in sentences], tf.string)
        values = self._run(texts).numpy()  # (batch, [time,] [n_layers + 1,] D)
        result = []
        for sentence, rows in zip(sentences, values, strict=True):
            if not self.vectors.pooled:
                rows = rows[: sentence.n_tokens]  # (n, [n_layers + 1,] D)
                if self.vectors.layers == "all":
                    rows = np.swapaxes(rows, 0, 1)  # (n_layers + 1, n, D)
            result.append(self._kept(rows, sentence))
        return result

    def _kept(self, rows: Floats, sentence: Sentence) -> Floats:
        with np.errstate(over="ignore"):
            kept = np.ascontiguousarray(rows, self.dtype)
        if not np.isfinite(kept).all():
            raise NotFiniteError(
                f"dtype: the vectors of text number {sentence.number} do not fit "
                f"{self.dtype}: the largest is {np.abs(rows).max()!s}. Use dtype='float32' "
                "if that is finite; otherwise the layer's weights are wrong. The text "
                f"begins with {sentence.text[:60]!r}."
            )
        return kept

    def _back_off(self, n_sentences: int, n_tokens: int, error: BaseException) -> None:
        if n_sentences == 1:
            raise MemoryError(
                f"Not enough memory for one sentence of {n_tokens:,} tokens. Choose a "
                "smaller max_tokens, or give the process more memory."
            ) from error
        self.token_budget = n_sentences // 2 * max(n_tokens, 1)
