"""A first look at a corpus: what there is to embed, before anything is computed."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import BadLine, BadLinesError
from keras_elmo.text.reader import OnError, Sentence, Sentences, logger
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
    sentences: Sentences, on_error: OnError = "fail", as_keys: bool = False
) -> Scan:
    """Looks through a corpus, and tells of its bad lines.

    Args:
        sentences: The corpus.
        on_error: What is done with texts that are unfit for names.
        as_keys: Whether texts must be fit for the names of HDF5 datasets.

    Returns:
        What was found.

    Raises:
        BadLinesError: There are bad lines, with ``on_error="fail"``.
        ValueError: There are no sentences.
    """

    def read() -> Iterator[Sentence]:
        return _fit_for_names(sentences, on_error) if as_keys else iter(sentences)

    n_tokens = array("i")
    chunk_digests = []
    n_text_bytes = 0
    for chunk in _cut(read()):
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


def _fit_for_names(sentences: Sentences, on_error: OnError) -> Iterator[Sentence]:
    """Leaves out, or refuses, sentences that cannot be the names of datasets."""
    bad: list[BadLine] = []
    seen: set[str] = set()
    for sentence in sentences:
        problem = _why_no_name(sentence.text, seen)
        seen.add(sentence.text)
        if problem is None:
            yield sentence
            continue
        bad.append(BadLine(sentence.number, problem))
        logger.warning("%s%s", bad[-1], "; left out" * (on_error == "skip"))
    # There is nothing to put in the place of a name.
    if bad and on_error != "skip":
        raise BadLinesError(bad[:20], len(bad))


def _why_no_name(text: str, others: set[str]) -> str | None:
    if not text:
        return "empty, which is no name of a dataset"
    if "/" in text or "\0" in text or text == ".":
        return "with a '/', '.' or NUL that the name of a dataset cannot have"
    return "the same as a sentence before" if text in others else None
