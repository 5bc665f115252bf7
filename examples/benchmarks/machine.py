"""The rate of the machine, and the work of the model."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

import keras_elmo
from keras_elmo import ElmoConfig

SMALL_CONFIG = ElmoConfig(
    char_dim=4, filters=((1, 8), (2, 16)), n_highway=1, dim=32, projection_dim=16
)
# What sides run on, if it is installed.
PACKAGES = ("allennlp", "jax", "onnx", "onnxruntime", "simple_elmo", "tensorflow", "torch")
GEMM_ROWS = (32, 64, 96, 128, 256, 512)
REPEATS = 3


def description() -> dict[str, Any]:
    """The processor and the versions of the software."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or "all",
        "system": platform.platform(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "keras_elmo": keras_elmo.__version__,
        "packages": versions(sys.executable),
    }


def versions(*python: str) -> str:
    """Names and versions of PACKAGES in the environment of a Python."""
    code = (
        "import sys; from importlib.metadata import distributions\n"
        "found = {name: d for name in sys.argv[1:] for d in distributions(name=name)}\n"
        "print(', '.join(f'{name} {d.version}' for name, d in found.items()))"
    )
    command = [*python, "-c", code, *PACKAGES]
    return subprocess.check_output(command, text=True).strip()


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class Rates(NamedTuple):
    """What the machine can do at best."""

    gemm: float  # float32 matrix products, in floating-point operations per second
    bandwidth: float  # reading float32 weights, in bytes per second

    def bound(self, config: ElmoConfig, texts: Sequence[str]) -> float:
        """The least seconds for a batch."""
        arithmetic = 2 * useful_work(config, texts) / self.gemm
        return max(arithmetic, weight_bytes(config, texts) / self.bandwidth)

    def __str__(self) -> str:
        return f"{self.gemm / 1e9:.0f} GFLOP/s, {self.bandwidth / 1e9:.1f} GB/s"


def best_rates(config: ElmoConfig, earlier: Rates | None = None) -> Rates:
    """The best rates that were ever measured.

    Products of the shapes of the model's LSTMs, for several numbers of rows, and of squares
    of two sizes; one row times a recurrent kernel, and the sum of such a kernel.
    """
    inner, columns = config.output_dim, 4 * config.dim
    shapes = [(rows, inner, columns) for rows in GEMM_ROWS]
    shapes += [(size, size, size) for size in (inner, 2 * inner)]
    rates = [earlier.gemm if earlier else 0.0]
    for rows, inner, columns in shapes:
        a, b = tf.random.normal((rows, inner)), tf.random.normal((inner, columns))
        seconds = _least_seconds(partial(tf.matmul, a, b))
        rates.append(2 * rows * inner * columns / seconds)
    kernel = tf.random.normal((config.projection_dim, 4 * config.dim))
    row = tf.random.normal((1, config.projection_dim))
    runs = (partial(tf.matmul, row, kernel), partial(tf.reduce_sum, kernel))
    seconds = min(map(_least_seconds, runs))
    bandwidth = 4 * config.projection_dim * 4 * config.dim / seconds
    return Rates(max(rates), max(earlier.bandwidth if earlier else 0.0, bandwidth))


def _least_seconds(run: Callable[[], Any]) -> float:
    run()  # the first time costs more
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run().numpy()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def lstm_work(config: ElmoConfig) -> int:
    """Multiply-adds of all LSTMs and projections, for one step in both directions."""
    gates = 2 * config.projection_dim * 4 * config.dim
    projection = config.dim * config.projection_dim if config.has_lstm_projection else 0
    return 2 * config.n_layers * (gates + projection)


def word_work(config: ElmoConfig, n_characters: int) -> int:
    """Multiply-adds of the token encoder for a word with ``n_characters`` ids.

    The ids include those for the start and end of the word. The count includes convolutions
    over distinct windows (all windows after the word's end are the same), highway layers
    and the projection.
    """
    n_characters = min(n_characters, config.max_characters_per_token)
    total = 0
    for width, count in config.filters:
        n_windows = min(n_characters + 1, config.max_characters_per_token - width + 1)
        total += n_windows * width * config.char_dim * count
    total += config.n_highway * 2 * config.n_filters**2
    if config.has_token_projection:
        total += config.n_filters * config.projection_dim
    return total


def useful_work(config: ElmoConfig, texts: Sequence[str]) -> int:
    """The multiply-adds that a batch needs.

    The count includes LSTMs and projections for each token and for the boundary that a
    direction starts from, and the token encoder for each distinct word. It excludes
    padding, repeated words, element-wise operations, the mix and the mean.
    """
    sentences = [text.split() for text in texts]
    steps = sum(len(sentence) + 1 for sentence in sentences)
    words = {word for sentence in sentences for word in sentence}
    encoder = sum(word_work(config, len(word.encode()) + 2) for word in words)
    return steps * lstm_work(config) + encoder + 2 * word_work(config, 3)


def weight_bytes(config: ElmoConfig, texts: Sequence[str]) -> int:
    """The bytes of weights that a batch reads.

    All weights once; recurrent kernels and projections again at each later step, in both
    directions of all layers. The first step has no state to multiply.
    """
    later = max(len(text.split()) for text in texts)
    recurrent = config.projection_dim * 4 * config.dim
    projection = config.dim * config.projection_dim if config.has_lstm_projection else 0
    again = max(later - 1, 0) * recurrent + later * projection
    return 4 * (config.n_parameters + 2 * config.n_layers * again)
