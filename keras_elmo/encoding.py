"""Computes a layer's outputs for many texts, in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_elmo import backends
from keras_elmo.text.batching import Indices, chunks, plan_batches
from keras_elmo.text.sentence_ids import SentenceIds
from keras_elmo.text.token_lists import TokenList, read_token_lists
from keras_elmo.types import Split, check_positive_integer

Floats = NDArray[np.floating[Any]]

# Texts are read and sorted by length in chunks of this size.
_CHUNK_TEXTS = 8192
_CHUNK_TOKENS = 1 << 18
# Batches of longer texts are smaller.
_STEPS_OF_A_TEXT = 512


class Program:
    """A layer's outputs for token lists, compiled for all sizes of batches."""

    def __init__(self, layer: Any) -> None:
        self.pooled = layer.masked_mean is not None
        self._token_ids = layer.character_ids.token_ids
        shapes = layer.compute_output_shape((None, None, self._token_ids.length))
        self.shape = shapes[1 if self.pooled else 2 :]
        self._takes_ids = layer.input_mode == "character_ids"
        shape: tuple[int | None, ...] = (None, None)
        if self._takes_ids:
            shape = (None, None, self._token_ids.length)
        dtype = "int32" if self._takes_ids else "string"
        self._run = backends.compiled(layer._outputs_of_tokens, layer, shape, dtype)

    def __call__(self, texts: Sequence[TokenList]) -> list[Floats]:
        """For each text ([tokens,] [n_layers + 1,] D), in the layer's compute dtype."""
        n_rows, n_steps = len(texts), max(1, *map(len, texts))
        if backends.has_static_shapes():  # fewer shapes to compile a program for
            n_rows, n_steps = (1 << (n - 1).bit_length() for n in (n_rows, n_steps))
        empty: list[TokenList] = [[]] * (n_rows - len(texts))
        outputs, mask = self._run(self._batch([*texts, *empty], n_steps))
        outputs, mask = outputs[: len(texts)], mask[: len(texts)]
        if self.pooled:
            return list(outputs)
        return [rows[kept] for rows, kept in zip(outputs, mask, strict=True)]

    def _batch(self, texts: Sequence[TokenList], n_steps: int) -> NDArray[Any]:
        if self._takes_ids:
            steps = np.full(len(texts), n_steps)
            ids = SentenceIds(texts, steps, self._token_ids)
            return ids(np.arange(len(texts)))  # (batch, time, length)
        tokens = np.full((len(texts), n_steps), b"", object)  # (batch, time)
        for row, text in zip(tokens, texts, strict=True):
            row[: len(text)] = text
        return tokens


class Batches:
    """Runs texts in batches, the longest first.

    If memory runs out, a batch is divided, and later ones are at most as large as what fit.
    """

    def __init__(self, layer: Any, batch_size: int, token_budget: int) -> None:
        self._program: Program = layer._program
        self.batch_size, self.token_budget = batch_size, token_budget

    def __call__(
        self, texts: Sequence[TokenList], n_done: int = 0
    ) -> Iterator[tuple[Indices, list[Floats]]]:
        """Yields each batch's indices and arrays; leaves out the first ``n_done`` texts."""
        lengths = np.array([len(text) for text in texts], np.int64)  # (n,)
        order = np.argsort(-lengths, kind="stable")[n_done:]  # (n - n_done,)
        while len(order):
            for places in plan_batches(lengths[order], self.batch_size, self.token_budget):
                rows = order[places]
                try:
                    arrays = self._program([texts[i] for i in rows])
                except Exception as error:
                    if not backends.is_out_of_memory(error):
                        raise
                    self._back_off(len(rows), int(lengths[rows[0]]), error)
                    order = order[places[0] :]
                    break
                yield rows, arrays
            else:
                return

    def _back_off(self, n_texts: int, n_tokens: int, error: Exception) -> None:
        if n_texts == 1:
            raise MemoryError(
                f"Not enough memory for one sentence of {n_tokens:,} tokens. Choose a "
                "smaller max_tokens, or give the process more memory."
            ) from error
        self.token_budget = n_texts // 2 * max(n_tokens, 1)


def encode(
    layer: Any,
    texts: Any,
    batch_size: int,
    verbose: Any,
    split: Split,
    max_tokens: int | None,
) -> Any:
    """:meth:`ElmoEmbeddingLayer.encode`, with any split."""
    if layer.stateful:
        raise ValueError(
            f"encode: with stateful={layer.stateful!r} vectors depend on earlier batches. "
            "Use a layer with stateful=False, or call this one."
        )
    check_positive_integer("batch_size", batch_size)
    if verbose != "auto" and verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2; got {verbose!r}.")
    batches = Batches(layer, batch_size, _STEPS_OF_A_TEXT * batch_size)
    pad_token = layer.pad_token if layer.input_mode == "tokens" else ""
    token_lists, n_texts = read_token_lists(
        texts, split, pad_token, max_tokens, layer.n_steps
    )
    bar = keras.utils.Progbar(
        n_texts, verbose=1 if verbose == "auto" else verbose, unit_name="text"
    )
    pooled, shape = layer._program.pooled, layer._program.shape
    result: Any = np.zeros((0, *shape), np.float32) if pooled else []
    n_done = 0
    limits = (_CHUNK_TEXTS, _CHUNK_TOKENS)
    for chunk in chunks(token_lists, lambda tokens: (1, len(tokens)), limits):
        start = len(result)
        if pooled:
            # In place: a second array of all vectors might not fit into memory.
            result.resize((start + len(chunk), *shape), refcheck=False)
        else:
            result += [None] * len(chunk)
        for rows, arrays in batches(chunk):
            for i, array in zip(rows, arrays, strict=True):
                result[start + i] = array.astype(np.float32)
            n_done += len(rows)
            bar.update(n_done, finalize=False)
    bar.update(n_done, finalize=True)
    return result
