"""The implementations that the benchmark compares.

Each takes sentences and returns the ``"default"`` output: the mean over tokens of ELMo's
mix.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.one_backend import thread_limits
from benchmarks.texts import Texts
from keras_elmo import ElmoEmbeddingLayer, export_onnx
from keras_elmo.hub.module import load_module

OURS = "keras-elmo"
HUB_ENGINE = 'engine="hub"'
HUB_SIGNATURE = "hub.load(...)"
PEER = Path(__file__).with_name("peer.py")

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


class Peer:
    """An implementation in another environment, whose process measures its own time."""

    def __init__(self, python: Path, model: Path, threads: int | None) -> None:
        environment = {**os.environ, "PYTHONPATH": "", **thread_limits(threads)}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.python = python
        command = [str(python), str(PEER), str(model)]
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.name = self._reply()

    def timed(
        self, batches: Sequence[Texts], train: bool = False
    ) -> tuple[float, list[Floats]]:
        """The seconds for all batches, and the vectors of each unless they train it."""
        job = {"batches": [batch.tolist() for batch in batches], "train": train}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        reply = self._reply()
        return reply["seconds"], [np.array(v, "float32") for v in reply.get("vectors", [])]

    def _reply(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            with self.process:  # waits for it
                raise SystemExit(f"--peer-python: {self.python} has ended; see above.")
        return json.loads(line)


def compiled(layer: keras.Layer) -> Embed:
    text = keras.Input((), dtype="string")
    embed: Embed = keras.Model(text, layer(text)).predict_on_batch
    return embed


def hub_sides(module: Path) -> list[Side]:
    """A TF1 Hub module's own graph, in two ways."""
    signature = load_module(module).signatures["default"]  # as in hub.load

    def call(texts: Texts) -> Floats:
        vectors: Floats = signature(strings=tf.constant(texts))["default"].numpy()
        return vectors

    layer = ElmoEmbeddingLayer(module, engine="hub")
    return [Side(HUB_ENGINE, compiled(layer)), Side(HUB_SIGNATURE, call)]


def onnx_sides(layer: ElmoEmbeddingLayer, folder: Path, threads: int | None) -> list[Side]:
    """ONNX Runtime on what ``export_onnx`` writes; none if it is not installed."""
    if not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        needed = "pip install onnx onnxruntime, and another --output"
        print(f"ONNX is left out. To compare it: {needed}", flush=True)
        return []
    onnxruntime: Any = importlib.import_module("onnxruntime")

    def embed(session: Any) -> Embed:
        config = layer.config
        assert config is not None

        def run(texts: Texts) -> Floats:
            ids = config.batch_to_ids([text.split() for text in texts])
            vectors: Floats = session.run(["default"], {"character_ids": ids})[0]
            return vectors

        return run

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    sides = []
    for weights in ("float32", "int8"):
        path = folder / f"{weights}.onnx"
        export_onnx(layer, path, weights=weights)
        session = onnxruntime.InferenceSession(str(path), options)
        sides.append(Side(f"ONNX Runtime, {weights}", embed(session)))
    return sides
