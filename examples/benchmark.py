"""Compares the speed of the layer with that of other implementations of ELMo.

All compute the same output from the same strings with the same weights, alternately: this
layer, the TF1 Hub module's own graph, ONNX Runtime, AllenNLP, simple_elmo. A run that was
stopped continues. README.md in this folder explains the workloads and the numbers::

    python examples/benchmark.py --output benchmark.jsonl --chart benchmark.png
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from benchmarks.comparison import EXPLANATION, Comparison, write_chart
from benchmarks.hub_module import Style, random_arrays, write_module
from benchmarks.machine import SMALL_CONFIG, description, versions
from benchmarks.results import Results
from benchmarks.sides import Peer
from benchmarks.texts import real_reviews, seeded_reviews
from benchmarks.workloads import SHORT_SENTENCE, WORKLOADS, Setting

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer

# Released modules have an even mix.
MIX = (np.zeros(3, np.float32), np.float32(1))
# With weights of these scales, gates, clips and activations all have an effect. With larger
# ones the recurrence is chaotic and amplifies rounding differences.
SCALE, SMALL_SCALE = 0.03, 0.25
SIZES = {"pairs": 5, "load_pairs": 3, "batch_size": 32, "large_batch_size": 128}
SIZES |= {"small_batch_size": 16, "n_short": 10, "n_job": 128, "epochs": 5}
SMALL_SIZES = {"pairs": 2, "load_pairs": 1, "batch_size": 4, "large_batch_size": 8}
SMALL_SIZES |= {"small_batch_size": 2, "n_short": 2, "n_job": 8, "epochs": 2}
SCALE_RUN, SMALL_SCALE_RUN = (1_000, 10_000, 100_000), (8, 16)


def main() -> None:
    args = make_parser().parse_args()
    os.environ["KERAS_ELMO_VERIFY"] = "0"  # outputs are compared here anyway
    if args.threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    names = ("module", "data", "small", "pairs", "words", "reviews", "threads", "seed")
    settings: dict[str, Any] = {name: str(vars(args)[name]) for name in names}
    machine = description()
    peers = [f"{python}: {versions(str(python), '-E')}" for python in args.peer_python]
    settings |= {"peers": peers, **machine}
    results = Results(args.output, settings)
    for name, value in machine.items():
        print(f"{name}: {value}")
    print(f"\n{EXPLANATION}", flush=True)
    missing = [w for w in args.workloads if w not in results]
    for workload in sorted(set(args.workloads) - set(missing)):
        show(results, workload)
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="keras-elmo-benchmark-")
        )
        if missing:
            setting = make_setting(args, missing, Path(folder), stack)
        for workload in missing:
            found = WORKLOADS[workload](setting)
            results[workload] = [dataclasses.asdict(comparison) for comparison in found]
            show(results, workload)
    if args.chart is not None:
        heading = f"keras-elmo {machine['keras_elmo']}, {machine['cores']} cores of "
        comparisons = [Comparison(**c) for w in args.workloads for c in results[w]]
        write_chart(args.chart, comparisons, heading + machine["processor"])
        print(f"Wrote {args.chart}")


def show(results: Results, workload: str) -> None:
    for comparison in results[workload]:
        Comparison(**comparison).print()


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compare this layer with other implementations, pair by pair."
    )
    add = parser.add_argument
    add("--module", type=Path, help="a TF1 Hub module; created if it does not exist")
    add("--data", help="aclImdb_v1.tar.gz, what it unpacks to, or 'download'")
    add("--small", action="store_true", help="a quick run: tiny model, few texts")
    add(
        "--workloads",
        type=workload_letters,
        default="".join(WORKLOADS),
        help="letters, such as acd (default: all)",
    )
    add("--pairs", type=int, help="how often each side is measured (5, or 2 if small)")
    add("--words", type=int, help="tokens to keep of a review (150, or 12 if small)")
    add("--reviews", type=int, help="reviews that workload g trains with (128, 8 if small)")
    add("--threads", type=int, help="threads per operation (default: all)")
    add("--seed", type=int, default=0, help="seed of the weights and texts")
    add(
        "--peer-python",
        type=Path,
        action="append",
        default=[],
        metavar="PYTHON",
        help="the Python of an environment with allennlp or simple_elmo; may be repeated",
    )
    add(
        "--output",
        type=Path,
        default=Path("benchmark.jsonl"),
        metavar="FILE",
        help="keeps each workload's numbers when it is done (default: benchmark.jsonl); "
        "with a file of the same settings, measures what is missing in it",
    )
    add("--chart", type=Path, metavar="FILE", help="draw the ratios to a PNG file")
    return parser


def workload_letters(text: str) -> str:
    if not set(text) <= set(WORKLOADS):
        expected = f"expected letters of {''.join(WORKLOADS)}, such as acd; got {text!r}"
        raise argparse.ArgumentTypeError(expected)
    return text


def make_setting(
    args: argparse.Namespace, workloads: list[str], folder: Path, stack: ExitStack
) -> Setting:
    """Makes modules, texts and peers."""
    config, scale = (SMALL_CONFIG, SMALL_SCALE) if args.small else (ElmoConfig(), SCALE)
    module = args.module or folder / "module"
    if not module.exists():
        print(f"Making a TF1 Hub module of {config.n_parameters:,} parameters", flush=True)
        arrays = random_arrays(config, args.seed, scale)
        write_module(module, config, arrays, Style(), MIX)
    modules = {"lean graph": module}
    if "e" in workloads:
        arrays = random_arrays(config, args.seed, scale)
        modules["weights in the graph"] = folder / "large"
        write_module(folder / "large", config, arrays, Style(constants=True), MIX)
    sizes: dict[str, Any] = dict(SMALL_SIZES if args.small else SIZES)
    sizes["pairs"] = args.pairs or sizes["pairs"]
    sizes["n_job"] = args.reviews or sizes["n_job"]
    n_words = max(args.words or (12 if args.small else 150), SHORT_SENTENCE)
    n_reviews = max(2 * sizes["n_job"], sizes["pairs"] * sizes["large_batch_size"])
    if args.data is None:
        reviews = seeded_reviews(n_reviews, n_words, args.seed)
    else:
        reviews = real_reviews(args.data, n_reviews, n_words, args.seed)
    peers = []
    if args.peer_python:
        ElmoEmbeddingLayer(module).save_hdf5(folder / "hdf5")
    for python in args.peer_python:
        peers.append(Peer(python, folder / "hdf5", args.threads))
        stack.enter_context(peers[-1].process)
    run = SMALL_SCALE_RUN if args.small else SCALE_RUN
    how = (reviews, peers, args.threads, args.seed)
    return Setting(modules, folder, *how, scale=run, **sizes)


if __name__ == "__main__":
    main()
