"""The implementations that the benchmark compares.

Each takes sentences and returns the ``"default"`` output: the mean over tokens of ELMo's
mix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.texts import Texts
from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.hub.module import load_module
from keras_elmo.types import EngineName

OURS = "keras-elmo"
HUB_ENGINE = 'engine="hub"'
HUB_SIGNATURE = "hub.load(...)"

Floats = NDArray[np.float32]
Embed = Callable[[Texts], Floats]
"""From sentences (batch,) to vectors (batch, D)."""


class Side(NamedTuple):
    """An implementation."""

    name: str
    embed: Embed

    def timed(self, batches: Sequence[Texts]) -> tuple[float, list[Floats]]:
        """The seconds for all batches, and the vectors of each, (batch, D)."""
        start = time.perf_counter()
        outputs = [self.embed(batch) for batch in batches]
        return time.perf_counter() - start, outputs


def make_sides(module: Path) -> list[Side]:
    """This layer, and a TF1 Hub module's own graph in two ways; ours first."""

    def predict(engine: EngineName) -> Embed:
        text = keras.Input((), dtype="string")
        vectors = ElmoEmbeddingLayer(module, engine=engine)(text)
        return keras.Model(text, vectors).predict_on_batch

    signature = load_module(module).signatures["default"]  # as in hub.load

    def call(texts: Texts) -> Floats:
        vectors: Floats = signature(strings=tf.constant(texts))["default"].numpy()
        return vectors

    return [
        Side(OURS, predict("native")),
        Side(HUB_ENGINE, predict("hub")),
        Side(HUB_SIGNATURE, call),
    ]
