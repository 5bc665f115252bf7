"""Embeddings in a NumPy file, which can be memory-mapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.vectors.layout import Layout
from keras_elmo.vectors.partial_file import write_beside
from keras_elmo.vectors.row_file import RowFile, sentences_path


class NumpyEmbeddings(RowFile):
    """The vectors of all sentences in one array, and beside it where each begins.

    Args:
        path: The name of the complete file.
        layout: What goes into it.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        n_tokens = layout.scan.n_tokens
        n_rows = np.ones_like(n_tokens) if layout.vectors.pooled else n_tokens  # (n,)
        super().__init__(
            path,
            layout.fingerprint,
            np.concatenate([[0], np.cumsum(n_rows, dtype=np.int64)]),  # (n + 1,)
            not layout.vectors.pooled,
            layout.token_shape,
            layout.dtype,
        )
        self.layout = layout

    def write_vectors(self, sentence: int, vectors: NDArray[Any]) -> None:
        """Writes the vectors of a sentence."""
        if not self.layout.vectors.pooled and self.layout.vectors.layers == "all":
            self.write_layers(sentence, vectors)
        else:
            self.write_rows(sentence, vectors)

    def complete(self) -> None:
        """Writes the sentences beside the file, and gives it its name."""
        if self.layout.keeps_sentences:
            lines = (json.dumps(s.text) + "\n" for s in self.layout.scan.sentences())
            write_beside(
                sentences_path(self.path),
                lambda file: file.writelines(line.encode() for line in lines),
            )
        super().complete()
