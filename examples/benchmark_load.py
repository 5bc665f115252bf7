"""Loads a TF1 Hub module in this process, and prints as JSON what that cost.

benchmark.py runs it: ``python benchmark_load.py hub|ours MODULE SENTENCE THREADS``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

STATUS = Path("/proc/self/status")


def main() -> None:
    """Loads, embeds one sentence, and prints seconds, gigabytes and the vector."""
    side, module, sentence, threads = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    load = {"hub": _hub, "ours": _ours}[side]()
    start = time.perf_counter()
    embed = load(module)
    seconds = time.perf_counter() - start
    gigabytes = peak_gigabytes()
    start = time.perf_counter()
    vector = embed(sentence)
    numbers = {
        "load_seconds": seconds,
        "load_gigabytes": gigabytes,
        "first_seconds": time.perf_counter() - start,
        "first_gigabytes": peak_gigabytes(),
        "vector": vector[0].tolist(),
    }
    print(json.dumps(numbers))


def _hub() -> Any:
    import tensorflow_hub as hub

    def load(module: str) -> Any:
        function = hub.load(module).signatures["default"]
        return lambda sentence: function(strings=tf.constant([sentence]))["default"].numpy()

    return load


def _ours() -> Any:
    # The check of outputs, which happens when a module is first used, is not loading.
    os.environ["KERAS_ELMO_VERIFY"] = "0"
    from keras_elmo import ElmoEmbeddingLayer

    def load(module: str) -> Any:
        layer = ElmoEmbeddingLayer(module)
        return lambda sentence: layer([sentence]).numpy()

    return load


def peak_gigabytes() -> float | None:
    """The largest memory of this process so far, in GB, where the system tells it."""
    # Not getrusage, in which a new process starts with its parent's peak.
    if not STATUS.exists():
        return None
    return int(STATUS.read_text("utf-8").split("VmHWM:")[1].split()[0]) / 1e6


if __name__ == "__main__":
    main()
