"""What the tests of the command share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_elmo import ElmoEmbeddingLayer

SENTENCES = ["The river bank", "Bank", "and another one , longer"]
# Counted by hand from the sizes of TINY.
PARAMETERS = {
    "character_embedding": 261 * 4,
    "convolutions": (4 * 4 + 4) + (2 * 4 * 6 + 6) + (3 * 4 * 8 + 8),
    "highways": 2 * 2 * (18 * 18 + 18),
    "projection": 18 * 8 + 8,
    "lstms": 4 * (16 * 48 + 48 + 12 * 8),
    "total": 6390,
}

Run = Callable[..., tuple[int, str, str]]


def outputs(source: object, *arguments: str) -> np.ndarray:
    return np.asarray(ElmoEmbeddingLayer(source, *arguments)(SENTENCES))


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())
