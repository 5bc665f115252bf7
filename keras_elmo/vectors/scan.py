"""A first look at a corpus: what there is to embed, before anything is computed."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.records import Records
from keras_elmo.text.sentences import OnError, Sentence, log_bad_line, read_sentences
from keras_elmo.vectors.fingerprint import digest

# A chunk is held in memory.
CHUNK_SENTENCES = 8192
CHUNK_TOKENS = 1 << 18
CHUNK_BYTES = 1 << 26


class Scan(NamedTuple):
    """A corpus that has been looked through.

    Attributes:
        read: Reads its sentences from the beginning, as they are then.
        n_tokens: How many each has, (n,).
        chunk_digests: What tells each chunk from others.
        n_text_bytes: The size of the texts.
    """

    read: Callable[[], Iterator[Sentence]]
    n_tokens: NDArray[np.int32]
    chunk_digests: list[bytes]
    n_text_bytes: int

    @property
    def digest(self) -> str:
        """What tells the corpus from others."""
        return digest(self.chunk_digests)

    def sentences(self) -> Iterator[Sentence]:
        """The sentences, from the beginning.

        Raises:
            ValueError: The corpus has changed since it was looked through.
        """
        for _, chunk in chunks(self):
            yield from chunk


def scan_corpus(
    records: Records, on_error: OnError, max_tokens: int, as_keys: bool = False
) -> Scan:
    """Looks through a corpus, and tells of its bad lines.

    Args:
        records: The corpus.
        on_error: What is done with bad lines.
        max_tokens: More tokens make a line bad.
        as_keys: Whether texts must be fit for the names of HDF5 datasets.

    Returns:
        What was found.

    Raises:
        BadLinesError: There are bad lines, with ``on_error="fail"``.
        ValueError: There are no sentences.
    """
    read = partial(read_sentences, records, on_error, max_tokens, as_keys=as_keys)
    n_tokens = array("i")
    chunk_digests = []
    n_text_bytes = 0
    for chunk in _cut(read(report=lambda bad: log_bad_line(bad, on_error))):
        n_tokens.extend(sentence.n_tokens for sentence in chunk)
        n_text_bytes += sum(len(sentence.text.encode("utf-8")) for sentence in chunk)
        chunk_digests.append(_chunk_digest(chunk))
    if not n_tokens:
        raise ValueError("corpus: there are no sentences in it.")
    return Scan(read, np.array(n_tokens), chunk_digests, n_text_bytes)


def chunks(scan: Scan, n_done: int = 0) -> Iterator[tuple[int, list[Sentence]]]:
    """Cuts a corpus into chunks of consecutive sentences.

    Args:
        scan: The corpus.
        n_done: Chunks that end before this sentence are left out.

    Yields:
        The index of each chunk's first sentence, and its sentences. Where they are cut
        depends on the corpus alone.

    Raises:
        ValueError: The corpus has changed since it was looked through.
    """
    start = 0
    pairs = itertools.zip_longest(_cut(scan.read()), scan.chunk_digests)
    for chunk, expected in pairs:
        if chunk is None or _chunk_digest(chunk) != expected:
            raise ValueError(
                f"corpus: it has changed while it was read, behind sentence {start:,}. Put "
                "back what it was to go on, or start again into another file."
            )
        if start + len(chunk) > n_done:
            yield start, chunk
        start += len(chunk)


def _cut(sentences: Iterable[Sentence]) -> Iterator[list[Sentence]]:
    chunk: list[Sentence] = []
    n_tokens = n_bytes = 0
    for sentence in sentences:
        chunk.append(sentence)
        n_tokens += sentence.n_tokens
        n_bytes += len(sentence.tokens) + len(sentence.text)
        is_full = len(chunk) == CHUNK_SENTENCES or n_tokens >= CHUNK_TOKENS
        if is_full or n_bytes >= CHUNK_BYTES:
            yield chunk
            chunk, n_tokens, n_bytes = [], 0, 0
    if chunk:
        yield chunk


def _chunk_digest(chunk: Sequence[Sentence]) -> bytes:
    texts = (part for s in chunk for part in (s.text.encode("utf-8"), s.tokens))
    return digest(texts).encode()
