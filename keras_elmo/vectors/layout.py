"""What the files of embeddings have in common."""

from __future__ import annotations

from typing import NamedTuple

from keras_elmo.vectors.fingerprint import Fingerprint
from keras_elmo.vectors.scan import Scan
from keras_elmo.vectors.vectors import Vectors


class Layout(NamedTuple):
    """What goes into a file of embeddings.

    Attributes:
        scan: The sentences.
        vectors: Which vectors are kept of each.
        token_shape: The shape of what is kept of one token, or of a pooled sentence.
        dtype: ``"float32"`` or ``"float16"``.
        keeps_sentences: Whether the sentences go into the file.
        sentence_keys: Whether they are the names of HDF5 datasets.
        fingerprint: What the file is of.
    """

    scan: Scan
    vectors: Vectors
    token_shape: tuple[int, ...]
    dtype: str
    keeps_sentences: bool
    sentence_keys: bool
    fingerprint: Fingerprint

    def shape(self, n_tokens: int) -> tuple[int, ...]:
        """The shape of the array of a sentence."""
        if self.vectors.pooled:
            return self.token_shape
        *layers, dim = self.token_shape
        return (*layers, n_tokens, dim)
