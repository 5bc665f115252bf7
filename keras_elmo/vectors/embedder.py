"""Computes the vectors of sentences that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from keras_elmo.elmo_embedding_layer import ElmoEmbeddingLayer
from keras_elmo.encoding import Batches, Floats
from keras_elmo.errors import NotFiniteError
from keras_elmo.text.batching import Indices
from keras_elmo.text.reader import Sentence
from keras_elmo.vectors.options import Options


class Embedder:
    """Computes the vectors of sentences with a layer that has ``options.output_mode``."""

    def __init__(self, layer: ElmoEmbeddingLayer, options: Options) -> None:
        self._batches = Batches(layer, options.batch_size, options.token_budget)
        self._layers, self._dtype = options.layers, np.dtype(options.dtype)
        self._is_sum = options.pooled == "sum"

    def batches(
        self, sentences: Sequence[Sentence], n_done: int = 0
    ) -> Iterator[tuple[Indices, list[Floats]]]:
        """Embeds sentences, the longest first, without the first ``n_done``.

        Yields the indices of each batch's sentences, and an array ([n_tokens,]
        [n_layers + 1,] D) for each.
        """
        tokens = [s.tokens.split(b" ")[: s.n_tokens] for s in sentences]
        for rows, arrays in self._batches(tokens, n_done):
            pairs = zip(rows, arrays, strict=True)
            yield rows, [self._kept(array, sentences[i]) for i, array in pairs]

    def _kept(self, array: Floats, sentence: Sentence) -> Floats:
        if self._layers == "top":
            array = array[..., -1, :]  # ([n_tokens,] D)
        elif self._layers == "average":
            array = array.mean(axis=-2)  # ([n_tokens,] D)
        elif self._layers == "sum":
            array = array.sum(axis=-2)  # ([n_tokens,] D)
        if self._is_sum:
            array = array * np.float32(sentence.n_tokens)  # its tokens' mean before
        with np.errstate(over="ignore"):
            kept = np.ascontiguousarray(array, self._dtype)
        if not np.isfinite(kept).all():
            raise NotFiniteError(
                f"dtype: the vectors of text number {sentence.number:,} do not fit "
                f"{self._dtype}: the largest value is {np.abs(array).max()!s}. If it is "
                "finite, use dtype='float32'; otherwise the layer's weights are wrong. "
                f"The text starts with {sentence.text[:60]!r}."
            )
        return kept
