"""Sentences to vectors, in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.errors import NotFiniteError
from keras_elmo.text.reader import Sentence
from keras_elmo.vectors.batching import Indices, plan_batches
from keras_elmo.vectors.options import Layers, Options

Floats = NDArray[np.floating[Any]]


def _program(layer: ElmoEmbeddingLayer, layers: Layers) -> Callable[[Any], Any]:
    """One program for batches of any size."""
    import tensorflow as tf

    def run(texts: Any) -> Any:
        outputs = layer(texts)  # (batch, [time,] [n_layers + 1,] D)
        if layers == "top":
            return outputs[..., -1, :]  # (batch, [time,] D)
        if layers == "average":
            return keras.ops.mean(outputs, axis=-2)  # (batch, [time,] D)
        return outputs

    signature = [tf.TensorSpec((None,), tf.string)]
    return tf.function(run, signature, autograph=False).get_concrete_function()


class Embedder:
    """Computes the vectors of sentences with a layer that has ``options.output_mode``.

    If memory runs out, a batch is divided, and later ones are no larger than what fit.
    """

    def __init__(self, layer: ElmoEmbeddingLayer, options: Options) -> None:
        import tensorflow as tf

        self.pooled = options.pooled
        self.dtype = np.dtype(options.dtype)
        self.batch_size = options.batch_size
        self.token_budget = options.token_budget
        self._out_of_memory = (MemoryError, tf.errors.ResourceExhaustedError)
        self._run = _program(layer, options.layers)

    def batches(
        self, sentences: Sequence[Sentence], n_done: int = 0
    ) -> Iterator[tuple[Indices, list[Floats]]]:
        """Embeds sentences, the longest first; the first ``n_done`` are left out.

        Yields the indices of each batch's sentences, and their :meth:`arrays`.
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
        """Embeds a batch: an array ([n_tokens,] [n_layers + 1,] D) for each sentence."""
        import tensorflow as tf

        texts = tf.constant([s.tokens for s in sentences], tf.string)
        values = self._run(texts).numpy()  # (batch, [time,] [n_layers + 1,] D)
        return [
            self._kept(rows if self.pooled else rows[: sentence.n_tokens], sentence)
            for sentence, rows in zip(sentences, values, strict=True)
        ]

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
