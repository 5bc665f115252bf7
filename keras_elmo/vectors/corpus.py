"""The texts of a job, which are read once to be checked and again to be embedded."""

from __future__ import annotations

import itertools
import logging
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import BadLine, BadLinesError
from keras_elmo.text.batching import chunks
from keras_elmo.text.reader import MAX_BAD_LINES_KEPT, Sentence, read_sentences
from keras_elmo.types import Split
from keras_elmo.vectors.fingerprint import digest
from keras_elmo.vectors.options import Options

# A chunk is held in memory.
CHUNK_SENTENCES = 8192
CHUNK_TOKENS = 1 << 18
CHUNK_BYTES = 1 << 26

logger = logging.getLogger("keras_elmo")


class Corpus:
    """Sentences that can be read repeatedly, and must not change meanwhile.

    Attributes:
        sentence_keys: Those of the options; by default, whether all sentences have ids.
        n_tokens: The number of tokens of each sentence that get vectors, (n,).
        n_text_bytes: The size of the texts.
        digest: A digest of the texts, the tokens and their order.
    """

    def __init__(
        self,
        texts: Any,
        options: Options,
        layer_max_tokens: int | None = None,
        split: Split = "space",
    ) -> None:
        self._sentences = read_sentences(
            texts,
            input_format=options.input_format,
            column=options.column,
            on_error=options.on_error,
            max_tokens=options.max_tokens_for(layer_max_tokens),
            split=split,
        )
        self._options, self._layer_max_tokens = options, layer_max_tokens
        self._is_read = False
        n_tokens = array("i")
        self._chunk_digests: list[bytes] = []
        self._chunk_sizes: list[int] = []
        self.n_text_bytes = 0
        all_ids = True
        for chunk in _cut(self._usable()):
            n_tokens.extend(sentence.n_tokens for sentence in chunk)
            all_ids = all_ids and all(sentence.has_id for sentence in chunk)
            self.n_text_bytes += sum(len(s.text.encode("utf-8")) for s in chunk)
            self._chunk_digests.append(_chunk_digest(chunk))
            self._chunk_sizes.append(len(chunk))
        if not n_tokens:
            raise ValueError("texts: they contain no sentences.")
        self.n_tokens: NDArray[np.int32] = np.array(n_tokens)
        self.digest = digest(self._chunk_digests)
        keys = options.sentence_keys
        self.sentence_keys = all_ids if keys is None else keys
        self._is_read = True

    def chunks(self, n_done: int = 0) -> Iterator[tuple[int, list[Sentence]]]:
        """Yields chunks of consecutive sentences, with the index of the first.

        The chunks depend only on the corpus. Those that end before sentence ``n_done`` are
        left out.
        """
        start = 0
        found = _cut(self._usable())
        for chunk, expected in itertools.zip_longest(found, self._chunk_digests):
            if chunk is None or _chunk_digest(chunk) != expected:
                raise ValueError(
                    f"texts: they changed while they were read, after sentence {start:,}. "
                    "Restore them to resume, or start again with another file."
                )
            if start + len(chunk) > n_done:
                yield start, chunk
            start += len(chunk)

    def n_tokens_done(self, n_done: int) -> int:
        """Of the first ``n_done`` sentences, in each chunk the longest ones first."""
        chunks = np.split(self.n_tokens, np.cumsum(self._chunk_sizes)[:-1])
        longest_first = np.concatenate([-np.sort(-chunk) for chunk in chunks])  # (n,)
        return int(longest_first[:n_done].sum())

    def sentences(self) -> Iterator[Sentence]:
        for _, chunk in self.chunks():
            yield from chunk

    def _usable(self) -> Iterator[Sentence]:
        """Sentences with the tokens that the layer keeps.

        With ``sentence_keys``, sentences that cannot name a dataset are bad lines; by
        default, ids that cannot.
        """
        keys = self._options.sentence_keys
        bad: list[BadLine] = []
        seen: set[str] = set()
        is_skipped = self._options.on_error == "skip"
        for sentence in self._sentences:
            text = sentence.text.strip()
            if keys or sentence.has_id:
                problem = _why_no_name(text, seen, of_dataset=keys is not False)
                seen.add(text)
                if problem is not None:
                    bad.append(BadLine(sentence.number, problem, sentence.place))
                    if not self._is_read:
                        logger.warning("%s%s", bad[-1], "; left out" * is_skipped)
                    continue
            n_tokens = min(sentence.n_tokens, self._layer_max_tokens or sentence.n_tokens)
            yield sentence._replace(text=text, n_tokens=n_tokens)
        # A name cannot be repaired.
        if bad and not is_skipped:
            raise BadLinesError(bad[:MAX_BAD_LINES_KEPT], len(bad))


def _why_no_name(text: str, others: set[str], of_dataset: bool) -> str | None:
    if not text:
        return "empty, which cannot be the name of a dataset"
    if of_dataset and ("/" in text or "\0" in text or text == "."):
        return "with a '/', '.' or NUL that the name of a dataset cannot have"
    return f"{text!r:.100} is the same as before" if text in others else None


def _cut(sentences: Iterable[Sentence]) -> Iterator[list[Sentence]]:
    limits = (CHUNK_SENTENCES, CHUNK_TOKENS, CHUNK_BYTES)
    return chunks(sentences, lambda s: (1, s.n_tokens, len(s.tokens) + len(s.text)), limits)


def _chunk_digest(chunk: Sequence[Sentence]) -> bytes:
    texts = (part for s in chunk for part in (s.text.encode("utf-8"), s.tokens))
    return digest(texts).encode()
