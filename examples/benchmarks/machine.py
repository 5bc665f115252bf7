"""The rate of the machine, and the work of the model."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import keras_elmo
from keras_elmo import ElmoConfig

GEMM_ROWS = (32, 64, 96, 128, 256, 512)
GEMM_REPEATS = 3


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
    }


def processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def gemm_rate(config: ElmoConfig) -> float:
    """The best rate of float32 matrix products, in floating-point operations per second.

    Measured on the shapes of the model's LSTMs, for several numbers of rows, and on squares
    of two sizes.
    """
    inner, columns = config.output_dim, 4 * config.dim
    shapes = [(rows, inner, columns) for rows in GEMM_ROWS]
    shapes += [(size, size, size) for size in (inner, 2 * inner)]
    rates = []
    for rows, inner, columns in shapes:
        a, b = tf.random.normal((rows, inner)), tf.random.normal((inner, columns))
        tf.matmul(a, b)  # the first time costs more
        for _ in range(GEMM_REPEATS):
            start = time.perf_counter()
            tf.matmul(a, b)
            seconds = time.perf_counter() - start
            rates.append(2 * rows * inner * columns / seconds)
    return max(rates)


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

    The count includes LSTMs and projections for each token and sentence boundary, and the
    token encoder for each distinct word. It excludes padding, repeated words, element-wise
    operations, the mix and the mean.
    """
    sentences = [text.split() for text in texts]
    steps = sum(len(sentence) + 2 for sentence in sentences)
    words = {word for sentence in sentences for word in sentence}
    encoder = sum(word_work(config, len(word.encode()) + 2) for word in words)
    return steps * lstm_work(config) + encoder + 2 * word_work(config, 3)
