"""A first look at a corpus: what there is to embed, before anything is computed."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_elmo.corpus.records import Records
from keras_elmo.corpus.sentences import OnError, Sentence, log_bad_line, read_sentences

# A chunk is held in memory.
CHUNK_SENTENCES = 8192
CHUNK_TOKENS = 1 << 18
CHUNK_BYTES = 1 << 26


class Scan(NamedTuple):
    """A corpus that has been looked through.

    Attributes:
        sentences: Reads its sentences from the beginning.
        n_tokens: How many each has, (n,).
        digest: Tells it from others.
        n_text_bytes: The size of their texts.
    """

    sentences: Callable[[], Iterator[Sentence]]
    n_tokens: NDArray[np.int32]
    digest: str
    n_text_bytes: int


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
    digest = hashlib.sha256()
    n_text_bytes = 0
    for sentence in read(report=lambda bad: log_bad_line(bad, on_error)):
        n_tokens.append(sentence.n_tokens)
        text = sentence.text.encode("utf-8")
        n_text_bytes += len(text)
        for part in (text, sentence.tokens):
            # The length keeps ("ab", "c") and ("a", "bc") apart.
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    if not n_tokens:
        raise ValueError("corpus: there are no sentences in it.")
    return Scan(read, np.array(n_tokens), digest.hexdigest(), n_text_bytes)


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
    n = len(scan.n_tokens)
    chunk: list[Sentence] = []
    n_seen = n_chunk_tokens = n_chunk_bytes = 0
    for n_seen, sentence in enumerate(scan.sentences(), 1):
        if n_seen > n or scan.n_tokens[n_seen - 1] != sentence.n_tokens:
            raise _changed(f"at line {sentence.line}")
        chunk.append(sentence)
        n_chunk_tokens += sentence.n_tokens
        n_chunk_bytes += len(sentence.tokens) + len(sentence.text)
        if (
            len(chunk) == CHUNK_SENTENCES
            or n_chunk_tokens >= CHUNK_TOKENS
            or n_chunk_bytes >= CHUNK_BYTES
        ):
            if n_seen > n_done:
                yield n_seen - len(chunk), chunk
            chunk, n_chunk_tokens, n_chunk_bytes = [], 0, 0
    if n_seen != n:
        raise _changed("at its end")
    if chunk and n_seen > n_done:
        yield n_seen - len(chunk), chunk


def _changed(where: str) -> ValueError:
    return ValueError(
        f"corpus: it has changed while it was read, {where}. Start again with a corpus "
        "that stays as it is."
    )
