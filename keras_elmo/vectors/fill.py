"""Vectors into a partial file, chunk by chunk, and now and then how many are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from keras_elmo.errors import NotFiniteError
from keras_elmo.text.reader import Sentence
from keras_elmo.vectors.embedder import Embedder, Floats
from keras_elmo.vectors.partial_file import PartialFile, room

SECONDS_BETWEEN_RECORDS = 5.0

Chunks = Iterable[tuple[int, Sequence[Sentence]]]


def fill(
    file: PartialFile,
    write: Callable[[int, Floats], None],
    embedder: Embedder,
    chunks: Chunks,
    n_tokens: NDArray[Any],
    n_done: int,
    label: str | None,
) -> None:
    """Embeds what is not done yet, and gives the file its name.

    Args:
        file: The file, begun.
        write: Writes the vectors of a sentence, by its index, into the file.
        embedder: What computes them.
        chunks: Of the sentences: the index of the first of each, and all of it. Those that
            are done may be left out.
        n_tokens: How many tokens each sentence has, (n,).
        n_done: How many sentences are done, chunk by chunk, in each the longest first.
        label: What the progress bar says; ``None`` for no bar.

    Raises:
        NotFiniteError: A vector cannot be kept. Nothing is left of the file.
        MemoryError: There is not enough for a single sentence.
        DiskFullError: The disk is full.
        OSError: The file cannot be written.
    """
    bar = tqdm(
        total=int(n_tokens.sum()),
        desc=label,
        unit=" tokens",
        unit_scale=True,
        disable=label is None,
    )
    recorded = time.monotonic()
    try:
        with file.opened(), bar:
            try:
                for start, sentences in chunks:
                    n_before = max(n_done - start, 0)  # of this chunk, by an earlier run
                    if bar.n == 0:
                        bar.initial = bar.n = _tokens_done(
                            n_tokens, start, sentences, n_before
                        )
                    for rows, arrays in embedder.batches(sentences, n_before):
                        for i, vectors in zip(rows, arrays, strict=True):
                            write(start + int(i), vectors)
                        n_done += len(rows)
                        bar.update(sum(sentences[i].n_tokens for i in rows))
                        if time.monotonic() - recorded >= SECONDS_BETWEEN_RECORDS:
                            file.save_progress(n_done)
                            recorded = time.monotonic()
            finally:
                file.save_progress(n_done)
    except NotFiniteError:
        # To go on would end here again.
        file.discard()
        raise
    with room(file.path):
        file.complete()


def _tokens_done(
    n_tokens: NDArray[Any], start: int, chunk: Sequence[Sentence], n_longest: int
) -> int:
    """The tokens before a chunk, and of its longest sentences."""
    lengths = np.sort([sentence.n_tokens for sentence in chunk])[::-1]
    return int(n_tokens[:start].sum() + lengths[:n_longest].sum())
