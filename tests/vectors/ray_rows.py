"""Texts, and the rows that a worker of Ray makes of them, for the tests of these."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors.options import Options
from keras_elmo.vectors.ray_worker import Worker

WORDS = ("river", "bank", "naïve", "café", "of", "a")
N_ROWS = 60


def words(i: int) -> str:
    """A text of 1 to 7 tokens, another for each number."""
    return " ".join([f"{i}", *(WORDS[(i + k) % 6] for k in range(i % 7))])


TEXTS = [words(i) for i in range(N_ROWS)]


def embedded(source: Any, texts: Any, **options: Any) -> list[dict[str, Any]]:
    """The rows that a worker makes of a column."""
    import pyarrow as pa

    worker = Worker(source, Options(column="text", **options), "embedding", 1, False)
    column = pa.array(texts)
    table = pa.table({"text": column, "i": range(len(column))})
    rows: list[dict[str, Any]] = []
    for part in worker(table):
        tensors = part.column("embedding").combine_chunks().to_numpy(zero_copy_only=False)
        numbers = part.column("i").to_pylist()
        rows += [{"i": i, "embedding": x} for i, x in zip(numbers, tensors, strict=True)]
    return rows


def check_tokens(found: list[Any], layer: ElmoEmbeddingLayer, texts: list[str]) -> None:
    """``found`` has a layer's vectors of texts, each (tokens, n_layers + 1, D)."""
    batch = np.asarray(layer(texts))  # (n, time, n_layers + 1, D)
    for array, expected, text in zip(found, batch, texts, strict=True):
        assert array.dtype == np.float32
        expected = expected[: len(text.split())]
        np.testing.assert_allclose(array, expected, rtol=0, atol=1e-6, strict=True)
