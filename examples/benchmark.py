"""Compares the speed of the layer with that of the TF1 Hub module's own graph.

Both compute the same output from the same strings with the same weights, alternately, in
one process. README.md in this folder explains the workloads and the numbers::

    python examples/benchmark.py --json benchmark.json --chart benchmark.png
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from benchmarks.comparison import EXPLANATION, Comparison, write_chart
from benchmarks.hub_module import Style, random_arrays, write_module
from benchmarks.machine import description, lstm_work, word_work
from benchmarks.sides import make_sides
from benchmarks.texts import real_reviews, seeded_reviews
from benchmarks.workloads import NEED_SIDES, SHORT_SENTENCE, WORKLOADS, Setting

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer

SMALL_CONFIG = ElmoConfig(
    char_dim=4, filters=((1, 8), (2, 8)), n_highway=1, dim=32, projection_dim=16
)
# Released modules have an even mix.
MIX = (np.zeros(3, np.float32), np.float32(1))
# With weights of these scales, gates, clips and activations all have an effect. With larger
# ones the recurrence is chaotic and amplifies rounding differences.
SCALE, SMALL_SCALE = 0.03, 0.25
SIZES = {"pairs": 5, "load_pairs": 3, "batch_size": 32, "large_batch_size": 128}
SIZES |= {"n_short": 10, "n_job": 128, "epochs": 5}
SMALL_SIZES = {"pairs": 2, "load_pairs": 1, "batch_size": 4, "large_batch_size": 8}
SMALL_SIZES |= {"n_short": 2, "n_job": 8, "epochs": 2}


def main() -> None:
    args = make_parser().parse_args()
    os.environ["KERAS_ELMO_VERIFY"] = "0"  # outputs are compared here anyway
    if args.threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix="keras-elmo-benchmark-") as folder:
        run(args, Path(folder))


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compare this layer with a TF1 Hub module's own graph, pair by pair."
    )
    add = parser.add_argument
    add("--module", type=Path, help="a TF1 Hub module; created if it does not exist")
    add("--data", help="aclImdb_v1.tar.gz, what it unpacks to, or 'download'")
    add("--small", action="store_true", help="a quick run: tiny model, few texts")
    add(
        "--workloads",
        default="".join(WORKLOADS),
        help="letters, such as acd (default: all)",
    )
    add("--pairs", type=int, help="how often each side is measured (5, or 2 if small)")
    add("--words", type=int, help="tokens to keep of a review (150, or 12 if small)")
    add("--reviews", type=int, help="reviews that workload g trains with (128, 8 if small)")
    add("--threads", type=int, help="threads per operation (default: all)")
    add("--seed", type=int, default=0, help="seed of the weights and texts")
    add("--json", type=Path, metavar="FILE", help="write all numbers to a file")
    add("--chart", type=Path, metavar="FILE", help="draw the ratios to a PNG file")
    return parser


def run(args: argparse.Namespace, folder: Path) -> None:
    """Makes modules and texts, runs the workloads and reports the results."""
    config, scale = (SMALL_CONFIG, SMALL_SCALE) if args.small else (ElmoConfig(), SCALE)
    module = args.module or folder / "module"
    if not module.exists():
        print(f"Making a TF1 Hub module of {config.n_parameters:,} parameters", flush=True)
        arrays = random_arrays(config, args.seed, scale)
        write_module(module, config, arrays, Style(), MIX)
    layer = ElmoEmbeddingLayer(module)
    assert layer.config is not None
    modules = {"lean graph": module}
    if "e" in args.workloads:
        arrays = random_arrays(layer.config, args.seed, scale)
        modules["weights in the graph"] = folder / "large"
        write_module(folder / "large", layer.config, arrays, Style(constants=True), MIX)
    sizes = dict(SMALL_SIZES if args.small else SIZES)
    sizes["pairs"] = args.pairs or sizes["pairs"]
    sizes["n_job"] = args.reviews or sizes["n_job"]
    n_words = max(args.words or (12 if args.small else 150), SHORT_SENTENCE)
    n_reviews = max(2 * sizes["n_job"], sizes["pairs"] * sizes["large_batch_size"])
    if args.data is None:
        reviews = seeded_reviews(n_reviews, n_words, args.seed)
    else:
        reviews = real_reviews(args.data, n_reviews, n_words, args.seed)
    setting = Setting(modules, layer.config, reviews, args.threads, args.seed, **sizes)
    sides = make_sides(module) if NEED_SIDES & set(args.workloads) else []
    comparisons = [c for w in args.workloads for c in WORKLOADS[w](setting, sides)]
    report(args, layer.config, comparisons)


def report(
    args: argparse.Namespace, config: ElmoConfig, comparisons: list[Comparison]
) -> None:
    machine = description()
    print()
    for name, value in machine.items():
        print(f"{name}: {value}")
    for comparison in comparisons:
        comparison.print()
    print(f"\n{EXPLANATION}")
    if args.json is not None:
        numbers = {
            "machine": machine,
            "options": config.to_options(),
            "multiply-adds of a step": lstm_work(config),
            "multiply-adds of a word of 5 letters": word_work(config, 7),
            "settings": {name: str(value) for name, value in vars(args).items()},
            "comparisons": [dataclasses.asdict(comparison) for comparison in comparisons],
        }
        args.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
        print(f"Wrote {args.json}")
    if args.chart is not None:
        heading = (
            f"keras-elmo {machine['keras_elmo']}, {config.n_parameters / 1e6:.3g} million "
            f"parameters, {machine['cores']} cores of {machine['processor']}"
        )
        write_chart(args.chart, comparisons, heading)
        print(f"Wrote {args.chart}")


if __name__ == "__main__":
    main()
