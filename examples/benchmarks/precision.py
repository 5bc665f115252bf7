"""Compares precisions on this processor: the speed of matrix products and of the layer.

The model has random weights of a released model's shape; nothing is downloaded::

    python examples/benchmarks/precision.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer

POLICIES = ("float32", "mixed_bfloat16", "bfloat16", "mixed_float16")
PRODUCTS = ("float32", "bfloat16", "float16", "int8")
ROWS = (1, 32, 128)
SMALL = ElmoConfig(
    char_dim=4, filters=((1, 8), (2, 8)), n_highway=1, dim=32, projection_dim=16
)
SENTENCE = "The river bank was quiet ."


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure precisions on this processor.")
    parser.add_argument("--small", action="store_true", help="a tiny model, to try it out")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: 5)")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, TensorFlow {tf.__version__}")
    config, n_texts, n_tokens = (SMALL, 4, 10) if args.small else (ElmoConfig(), 32, 150)
    print_products(config, args.repeats)
    # A third of the words of such a batch are distinct, as in reviews.
    rng = np.random.default_rng(0)
    words = rng.integers(n_texts * n_tokens // 3, size=(n_texts, n_tokens)).astype(str)
    print_layers(config, [" ".join(row) for row in words], args.repeats)


def print_products(config: ElmoConfig, repeats: int) -> None:
    """Prints the rate of an LSTM's matrix products for several numbers of rows."""
    inner, columns = config.output_dim, 4 * config.dim
    print(f"\nGFLOP/s of (rows, {inner}) x ({inner}, {columns})")
    print(f"{'rows':>15}" + "".join(f"{rows:8d}" for rows in ROWS))
    rng = np.random.default_rng(0)
    rates: dict[str, list[float]] = {dtype: [] for dtype in PRODUCTS}
    for rows in ROWS:
        a, b = (rng.integers(-9, 9, s) for s in ((rows, inner), (inner, columns)))

        def product(dtype: str, a: Any = a, b: Any = b) -> Callable[[], Any]:
            x, y = tf.cast(a, dtype), tf.cast(b, dtype)
            out = tf.int32 if dtype == "int8" else None
            return lambda: tf.matmul(x, y, output_type=out).numpy()

        runs = {dtype: product(dtype) for dtype in PRODUCTS}
        for dtype, seconds in medians(runs, repeats).items():
            rates[dtype].append(2 * rows * inner * columns / seconds / 1e9)
    for dtype, values in rates.items():
        print(f"{dtype:>15}" + "".join(f"{value:8.0f}" for value in values))


def print_layers(config: ElmoConfig, texts: list[str], repeats: int) -> None:
    """Prints the layer's speed and error under each dtype policy, with the same weights."""
    layers = {policy: ElmoEmbeddingLayer(config, dtype=policy) for policy in POLICIES}
    for layer in layers.values():
        layer.set_weights(layers["float32"].get_weights())
    functions = {policy: tf.function(layer) for policy, layer in layers.items()}
    n_tokens = sum(len(text.split()) for text in texts)

    def runs(inputs: list[str]) -> dict[str, Callable[[], Any]]:
        x = tf.constant(inputs)
        return {p: partial(lambda f: f(x).numpy(), f) for p, f in functions.items()}

    seconds, latency = (medians(runs(x), repeats) for x in (texts, [SENTENCE]))
    exact = functions["float32"](tf.constant(texts)).numpy()  # (n, D)
    print(f"\n{'policy':>15}{'tokens/s':>10}{'1 sentence':>12}{'largest error':>15}")
    for policy, function in functions.items():
        found = tf.cast(function(tf.constant(texts)), tf.float32).numpy()  # (n, D)
        error = np.abs(found - exact).max() / np.abs(exact).max()
        print(
            f"{policy:>15}{n_tokens / seconds[policy]:10,.0f}"
            f"{1e3 * latency[policy]:9.0f} ms{error:15.1e}"
        )
    print("Errors are relative to the largest float32 value.")


def medians(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The median seconds of each, run alternately after a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    main()
