"""Loads a TF1 Hub module in this process, and prints its time and memory as JSON.

The benchmark runs it as ``python load.py hub|ours MODULE SENTENCE THREADS``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

STATUS = Path("/proc/self/status")


def main() -> None:
    side, module, sentence, threads = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    # The check of outputs, when a module is first used, is not part of loading.
    os.environ["KERAS_ELMO_VERIFY"] = "0"
    load = hub if side == "hub" else ours
    load_imports = load()
    start = time.perf_counter()
    embed = load_imports(module)
    loaded = time.perf_counter()
    numbers = {"load_seconds": loaded - start, "load_gigabytes": peak_gigabytes()}
    vector = embed(sentence)
    numbers["first_seconds"] = time.perf_counter() - loaded
    numbers["first_gigabytes"] = peak_gigabytes()
    print(json.dumps({**numbers, "vector": vector[0].tolist()}))


def hub() -> Callable[[str], Any]:
    """A function that loads a module's own graph as hub.load does."""

    def load(module: str) -> Any:
        function = tf.saved_model.load(module, tags=[]).signatures["default"]
        return lambda sentence: function(strings=tf.constant([sentence]))["default"].numpy()

    return load


def ours() -> Callable[[str], Any]:
    """A function that loads the layer; imports are not measured."""
    from keras_elmo import ElmoEmbeddingLayer

    def load(module: str) -> Any:
        layer = ElmoEmbeddingLayer(module)
        return lambda sentence: layer([sentence]).numpy()

    return load


def peak_gigabytes() -> float | None:
    """The peak memory of this process so far, if the system reports it."""
    # Not getrusage: there a new process starts with its parent's peak.
    if not STATUS.exists():
        return None
    return int(STATUS.read_text("utf-8").split("VmHWM:")[1].split()[0]) * 1024 / 1e9


if __name__ == "__main__":
    main()
