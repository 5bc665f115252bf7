"""Which precision pays on this processor? Matrix products, and the layer, in each.

The model has random weights of a released model's shape, so nothing is downloaded. See
README.md beside this file.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from arguments import integer_from
from benchmark_machine import description
from benchmark_texts import seeded_reviews

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer

POLICIES = ("float32", "mixed_bfloat16", "bfloat16", "mixed_float16")
PRODUCTS = ("float32", "bfloat16", "float16", "int8")
ROWS = (1, 32, 128)
SMALL = ElmoConfig(
    char_dim=4, filters=((1, 8), (2, 8)), n_highway=1, dim=32, projection_dim=16
)
SENTENCE = "The river bank was quiet ."


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0.
    """
    parser = argparse.ArgumentParser(description="Measure precisions on this processor.")
    parser.add_argument("--small", action="store_true", help="a tiny model, to try it out")
    parser.add_argument(
        "--repeats", type=integer_from(1), default=5, help="runs of each (default: 5)"
    )
    args = parser.parse_args(argv)
    config = SMALL if args.small else ElmoConfig()
    machine = description()
    print(f"{machine['processor']}, {machine['cores']} cores")
    print_products(config, args.repeats)
    n_reviews, n_tokens = (4, 10) if args.small else (32, 150)
    reviews, _ = seeded_reviews(n_reviews, n_tokens, seed=0)
    print_layers(config, reviews, args.repeats)
    return 0


def print_products(config: ElmoConfig, repeats: int) -> None:
    """Prints the rate of an LSTM's matrix products, for several numbers of rows.

    Args:
        config: The model's shape.
        repeats: How often to measure each.
    """
    inner, columns = config.output_dim, 4 * config.dim
    print(f"\nGFLOP/s of (rows, {inner}) x ({inner}, {columns})")
    print(f"{'rows':>15}" + "".join(f"{rows:8d}" for rows in ROWS))
    rates: dict[str, list[float]] = {dtype: [] for dtype in PRODUCTS}
    for rows in ROWS:
        runs = {dtype: product(rows, inner, columns, dtype) for dtype in PRODUCTS}
        for dtype, seconds in medians(runs, repeats).items():
            rates[dtype].append(2 * rows * inner * columns / seconds / 1e9)
    for dtype, values in rates.items():
        print(f"{dtype:>15}" + "".join(f"{value:8.0f}" for value in values))


def product(rows: int, inner: int, columns: int, dtype: str) -> Callable[[], Any]:
    """What multiplies two matrices of a dtype; integers give int32."""
    random = np.random.default_rng(0)
    a, b = (
        tf.cast(tf.constant(random.integers(-9, 9, shape)), dtype)
        for shape in ((rows, inner), (inner, columns))
    )
    if dtype == "int8":
        return lambda: tf.matmul(a, b, output_type=tf.int32).numpy()
    return lambda: tf.matmul(a, b).numpy()


def print_layers(config: ElmoConfig, reviews: Any, repeats: int) -> None:
    """Prints the layer's speed and error under each dtype policy, with equal weights.

    Args:
        config: The model's shape.
        reviews: Texts (n,).
        repeats: How often to measure each.
    """
    layers = {}
    for policy in POLICIES:
        layers[policy] = ElmoEmbeddingLayer(config, dtype=policy)
        layers[policy].set_weights(layers["float32"].get_weights())
    functions = {policy: tf.function(layer) for policy, layer in layers.items()}
    n_tokens = sum(len(text.split()) for text in reviews)
    batch, sentence = tf.constant(reviews), tf.constant([SENTENCE])
    seconds = medians({p: running(f, batch) for p, f in functions.items()}, repeats)
    latency = medians({p: running(f, sentence) for p, f in functions.items()}, repeats)
    exact = keras.ops.convert_to_numpy(functions["float32"](batch))  # (n, D)
    print(f"\n{'policy':>15}{'tokens/s':>10}{'1 sentence':>12}{'largest error':>15}")
    for policy, function in functions.items():
        found = keras.ops.convert_to_numpy(tf.cast(function(batch), tf.float32))  # (n, D)
        error = np.abs(found - exact).max() / np.abs(exact).max()
        print(
            f"{policy:>15}{n_tokens / seconds[policy]:10,.0f}"
            f"{1e3 * latency[policy]:9.0f} ms{error:15.1e}"
        )
    print("Errors are shares of the largest value of float32.")


def running(function: Callable[[Any], Any], inputs: tf.Tensor) -> Callable[[], Any]:
    """What calls a function and waits for its result."""
    return lambda: function(inputs).numpy()


def medians(runs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """The median of the seconds that each takes, all in turns, after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    raise SystemExit(main())
