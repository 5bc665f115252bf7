"""Compares backends, precisions and batch sizes with the plain formulation, on a GPU.

The model has the original size and random weights, all of them trained. "plain" encodes
every token, and runs Keras' RNN layers over the padded batch. README.md in this folder
explains the numbers::

    python examples/benchmark_gpu.py --output gpu.jsonl
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import SMALL_CONFIG, description, processor
from benchmarks.one_backend import measurements
from benchmarks.results import Results
from benchmarks.texts import count_tokens, seeded_reviews

from keras_elmo import ElmoConfig

BACKENDS = ("tensorflow", "jax", "torch")
POLICIES = ("mixed_bfloat16", "float32")
FORMULATIONS = ("plain", "keras-elmo")
MODES = ("forward", "step")


def main() -> None:
    args = make_parser().parse_args()
    end = time.monotonic() + 60 * args.minutes
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    found = shutil.which(query[0])
    machine = subprocess.check_output(query, text=True) if found else processor()
    print(machine.strip(), flush=True)
    settings = {"machine": machine, "small": args.small, "words": args.words}
    results = Results(args.output, settings | description())
    config = SMALL_CONFIG if args.small else ElmoConfig()
    texts = seeded_reviews(max(args.batches), args.words, seed=0)[0].tolist()
    open_models = []
    for model in itertools.product(args.policies, args.backends, FORMULATIONS):
        keys = [(key(*model, n, m), n) for n in sorted(args.batches) for m in MODES]
        for name in (name for name, _ in keys if name in results):
            report(results, name, "kept")
        if missing := sorted({n for name, n in keys if name not in results}):
            open_models.append((model, missing))
    for i, (model, missing) in enumerate(open_models):
        policy, backend, formulation = model
        # What one model leaves of its time is for the others.
        limit = (end - time.monotonic()) / (len(open_models) - i)
        job = {
            "options": config.to_options(),
            "formulation": formulation,
            "policy": policy,
            "batches": [texts[:n] for n in missing],
            "repeats": 5,
            "seconds": 1.0,
        }
        try:
            for reply in measurements(backend, job, max(limit, 0)):
                name = key(*model, reply["rows"], reply["mode"])
                tokens = count_tokens(texts[: reply["rows"]])
                results[name] = reply | {"tokens": tokens}
                report(results, name)
        except RuntimeError as error:
            print(
                f"{policy} {formulation} {missing}: {error}; run again to continue",
                flush=True,
            )


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure forward passes and training steps on a GPU.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--backends", nargs="+", default=BACKENDS, choices=BACKENDS, help="of Keras")
    add("--policies", nargs="+", default=POLICIES, help="dtype policies of Keras")
    add("--batches", nargs="+", type=int, default=(32, 128, 512), help="texts of a batch")
    add("--words", type=int, default=150, help="tokens of the longest text")
    add("--minutes", type=float, default=10, help="time for everything")
    add("--small", action="store_true", help="a tiny model, to try it out")
    add("--output", type=Path, default=Path("gpu.jsonl"), help="keeps results; resumed")
    return parser


def key(policy: str, backend: str, formulation: str, rows: int, mode: str) -> str:
    return f"{policy} {backend} {formulation} {rows} {mode}"


def report(results: dict[str, Any], name: str, note: str = "") -> None:
    """Prints a result, compared with the plain formulation's if it is known."""
    result = results[name]
    if "error" in result:
        print(f"{name:48} {result['error']}", flush=True)
        return
    seconds = statistics.median(result["seconds"])
    line = f"{name:48}{1e3 * seconds:10.1f} ms {result['tokens'] / seconds:12,.0f} tokens/s"
    plain = results.get(name.replace("keras-elmo", "plain"), {})
    if plain is not result and "seconds" in plain:
        line += f"  {statistics.median(plain['seconds']) / seconds:6.2f} times plain"
    print(f"{line}  {result['device']}  {note}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
