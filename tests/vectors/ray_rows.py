"""Texts, and the rows that a worker of Ray makes of them, for the tests of these."""

from __future__ import annotations

from typing import Any

from keras_elmo.vectors.options import Options
from keras_elmo.vectors.ray_worker import Worker

WORDS = ("river", "bank", "naïve", "café", "of", "a")
# Texts of 1 to 7 tokens, all different.
TEXTS = [" ".join([f"{i}", *(WORDS[(i + k) % 6] for k in range(i % 7))]) for i in range(60)]


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
