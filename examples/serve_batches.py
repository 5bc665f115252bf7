"""Sentences of many requests, computed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]
"""The outputs of a batch, by name."""

FIRST = "default"  # the output that is given where none is named
_LOADING_ERRORS = (OSError, ValueError, RuntimeError, TypeError, AttributeError, KeyError)


class Model:
    """A SavedModel with the signature ``tokens``, as keras_elmo writes it.

    Args:
        path: Its directory.

    Raises:
        ValueError: It cannot be loaded, or has no such signature.
    """

    def __init__(self, path: str) -> None:
        try:
            # Without this object its functions have no variables.
            self._loaded = tf.saved_model.load(path)
        except (*_LOADING_ERRORS, tf.errors.OpError) as error:
            raise ValueError(f"{path!r} cannot be loaded: {error!s:.300}") from error
        signatures = getattr(self._loaded, "signatures", {})
        if "tokens" not in signatures:
            raise ValueError(
                f"{path!r} has no signature 'tokens'; it has {sorted(signatures)}. Write "
                "it by keras_elmo.hub.export_saved_model or keras-elmo convert "
                "--to savedmodel."
            )
        self._tokens = signatures["tokens"]
        names = set(self._tokens.structured_outputs) - {"sequence_len"}
        self.outputs = sorted(names, key=lambda name: (name != FIRST, name))

    def __call__(self, rows: Sequence[Sequence[str]]) -> Arrays:
        """Computes all outputs.

        Args:
            rows: The tokens of each sentence, at least one sentence.

        Returns:
            Arrays (sentences, time, ...) or (sentences, ...).
        """
        lengths = [len(row) for row in rows]
        width = max(lengths)
        padded = [[*row, *[""] * (width - len(row))] for row in rows]
        found = self._tokens(
            tokens=tf.constant(padded, tf.string, (len(rows), width)),
            sequence_len=tf.constant(lengths, tf.int32),
        )
        return {name: found[name].numpy() for name in self.outputs}


@dataclass
class _Sentence:
    tokens: Sequence[str]
    output: str
    vectors: asyncio.Future[NDArray[np.float32]]


class Batches:
    """Puts the sentences that wait into batches, whichever request they are of.

    A batch is what is there when the batch before is done. Nobody waits for it to fill: it
    is small where there is little to do, and large where there is much.

    Args:
        compute: From the tokens of sentences to their outputs. It runs in a thread of its
            own, so that requests are read and answered meanwhile.
        steps: The most that a batch has: sentences times the tokens of the longest one.
            This bounds its memory. A longer sentence is a batch by itself.
    """

    def __init__(
        self, compute: Callable[[list[Sequence[str]]], Arrays], steps: int
    ) -> None:
        self.compute, self.steps = compute, steps
        self.waiting: deque[_Sentence] = deque()
        self._arrived = asyncio.Event()

    async def vectors(
        self, rows: Sequence[Sequence[str]], output: str
    ) -> list[NDArray[np.float32]]:
        """Waits for the vectors of sentences.

        Args:
            rows: The tokens of each.
            output: The name of the output.

        Returns:
            An array for each sentence, (tokens, dim), or (dim,) for a pooled output.
        """
        loop = asyncio.get_running_loop()
        sentences = [_Sentence(row, output, loop.create_future()) for row in rows]
        self.waiting.extend(sentences)
        self._arrived.set()
        try:
            return await asyncio.gather(*(each.vectors for each in sentences))
        except asyncio.CancelledError:  # it took too long: nobody waits for the rest
            self.waiting = deque(s for s in self.waiting if not s.vectors.done())
            raise

    async def work(self) -> None:
        """Computes batches, until it is cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:
            while True:
                await self._arrived.wait()
                batch = self._next()
                if not batch:
                    self._arrived.clear()
                    continue
                rows = [sentence.tokens for sentence in batch]
                try:
                    arrays = await loop.run_in_executor(thread, self.compute, rows)
                except Exception as error:  # whatever it is, only this batch suffers
                    _fail(batch, error)
                else:
                    _finish(batch, arrays)

    def _next(self) -> list[_Sentence]:
        batch: list[_Sentence] = []
        longest = 1
        while self.waiting:
            longest = max(longest, len(self.waiting[0].tokens))
            if batch and (len(batch) + 1) * longest > self.steps:
                break
            batch.append(self.waiting.popleft())
        return batch


def _finish(batch: list[_Sentence], arrays: Arrays) -> None:
    for i, sentence in enumerate(batch):
        vectors: Any = arrays[sentence.output][i]
        if vectors.ndim == 2:
            vectors = vectors[: len(sentence.tokens)]
        if not sentence.vectors.done():
            # A copy, so that one that is slow to be sent does not keep the batch.
            sentence.vectors.set_result(vectors.copy())


def _fail(batch: list[_Sentence], error: Exception) -> None:
    for sentence in batch:
        if not sentence.vectors.done():
            sentence.vectors.set_exception(error)
