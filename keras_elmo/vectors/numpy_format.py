"""Embeddings in a NumPy file, which is the store itself, with files next to it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import RefusedEmbeddingsError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.embeddings import Embeddings, Floats
from keras_elmo.vectors.files import next_to, write_whole
from keras_elmo.vectors.fingerprint import Fingerprint
from keras_elmo.vectors.store import Format, Store, read_record
from keras_elmo.weights.numpy_files import map_npy

OFFSETS = ".offsets.npy"
SENTENCES = ".sentences.jsonl"


def _fingerprint(store: Store) -> Fingerprint:
    record = read_record(store.record)
    if record is None:
        raise ValueError(f"there is no {store.record.name} next to it")
    if record["fingerprint"] == store.fingerprint and not store.is_of_rows(store.path):
        raise ValueError(f"its {store.record.name} belongs to another file")
    return record["fingerprint"]


def _export(store: Store, _: Path) -> Path:
    if not store.options.forget_sentences:
        lines = (f"{json.dumps(s.text)}\n".encode() for s in store.corpus.sentences())
        write_whole(next_to(store.path, SENTENCES), lines)
    if not store.options.pooled:
        content = io.BytesIO()
        np.save(content, store.offsets)
        write_whole(next_to(store.path, OFFSETS), [content.getbuffer()])
    return store.part


class NumpyEmbeddings(Embeddings):
    """A memory-mapped row for each token or sentence, and the start of each sentence."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rows: Any = map_npy(self.path)
        if self._rows.ndim < 2:
            raise ValueError(f"an array {self._rows.shape} of {self._rows.dtype}")
        self._offsets: NDArray[np.int64] | None = None
        if next_to(self.path, OFFSETS).is_file():
            self._offsets = _load_offsets(self.path, len(self._rows))  # (n + 1,)
        elif _record_of_tokens(self.path):
            # Without offsets, each token would be taken for a sentence.
            raise ValueError(f"{next_to(path, OFFSETS).name!r} is not next to it")
        self._length = len(self._rows if self._offsets is None else self._offsets[1:])

    def __len__(self) -> int:
        return self._length

    def _lengths(self) -> NDArray[np.int64] | None:
        return None if self._offsets is None else np.diff(self._offsets)

    def _values(self) -> Floats:
        return self._rows

    def _array(self, index: int) -> Floats:
        key = index if self._offsets is None else slice(*self._offsets[index : index + 2])
        return self._rows[key]  # ([n_tokens,] [n_layers + 1,] D)

    def _sentences(self) -> list[str] | None:
        path = next_to(self.path, SENTENCES)
        if not path.is_file():
            return None
        with path.open("rb") as file:
            sentences = [parse_json(line) for line in file]
        is_of_strings = all(isinstance(sentence, str) for sentence in sentences)
        if not is_of_strings or len(sentences) != len(self):
            raise RefusedEmbeddingsError(f"{str(path)!r} belongs to another file.")
        return sentences

    def _release(self) -> None:
        self._rows = None


def _load_offsets(path: Path, n_rows: int) -> NDArray[np.int64]:
    """The positions at which sentences start, and the end of the last one, (n + 1,)."""
    offsets = np.array(map_npy(next_to(path, OFFSETS), "iu"))
    if (
        offsets.ndim != 1
        or len(offsets) == 0
        or (offsets[0], offsets[-1]) != (0, n_rows)
        or np.any(offsets[1:] < offsets[:-1])
    ):
        raise ValueError(f"{str(path)!r}: its offsets are damaged or of another file")
    return offsets.astype(np.int64)


def _record_of_tokens(path: Path) -> bool:
    record = read_record(next_to(path, ".json"))
    return record is not None and record["fingerprint"].get("pooled") is False


NUMPY = Format("NumPy", NumpyEmbeddings, _fingerprint, _export, is_copy=False)
