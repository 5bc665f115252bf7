"""What a large corpus takes: rates and memory of workers, as Ray runs them, all at once.

    python examples/benchmark_corpus.py --workers 2 --data aclImdb_v1.tar.gz

Each worker has one processor, and embeds sentences as ``embed_dataset`` lets it,
but without Ray, whose own work is not measured. From that it reckons what a billion such
sentences take. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from arguments import blaming, integer_from, require
from benchmark_load import peak_gigabytes
from benchmark_machine import description
from imdb_data import DataError
from word_senses_text import read_sentences

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError, tokenize
from keras_elmo.vectors.options import DTYPES, Options
from keras_elmo.vectors.ray_data import BATCHES_IN_A_TASK

BILLION = 10**9

_barrier: Any = None  # of the workers: they begin when all have loaded the layer


class Measured(NamedTuple):
    """What one worker did.

    Attributes:
        seconds: How long, by the clock, without loading the layer.
        peak_gigabytes: The most memory that it took, with all that it imports; ``None``
            where the system does not tell it.
    """

    seconds: float
    peak_gigabytes: float | None


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    require(parser, "pyarrow", "ray", extra="ray")
    with blaming(parser, "--data", DataError, OSError):
        found = read_sentences(args.data)
    chosen = random.Random(0).sample(found, min(args.sentences, len(found)))
    texts = [" ".join(tokenize(sentence)) for sentence in chosen]
    options = Options(args.layers, args.pooled, args.dtype, column="text")
    with source_path(args.source) as source:
        with blaming(parser, "--source", SourceError):
            layer = ElmoEmbeddingLayer(source, "layers")
        results = run_workers(args.workers, source, texts, options)
    n_tokens = sum(len(text.split()) for text in texts)
    machine = description()
    print(f"{machine['processor']}, {machine['cores']} cores")
    print_workers(len(texts), n_tokens, results)
    n_vectors = len(texts) if args.pooled else n_tokens
    values = int(np.prod(options.row_shape(layer)))
    n_bytes = n_vectors * values * np.dtype(args.dtype).itemsize
    print_billion(len(texts), n_tokens, n_bytes, results)
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure what a large corpus takes.")
    parser.add_argument(
        "--source",
        help="of the layer (default: random weights of a released model's shape)",
    )
    parser.add_argument("--data", help="aclImdb_v1.tar.gz (default: the package's reviews)")
    parser.add_argument(
        "--sentences", type=integer_from(1), default=4096, help="of each worker (4096)"
    )
    parser.add_argument(
        "--workers", type=integer_from(1), default=1, help="at the same time (1)"
    )
    parser.add_argument("--layers", choices=("all", "top", "average"), default="all")
    parser.add_argument("--pooled", action="store_true", help="a vector for a sentence")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    return parser


@contextlib.contextmanager
def source_path(source: str | None) -> Iterator[str]:
    """The source, or the path of one with random weights."""
    if source is not None:
        yield source
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "elmo")
        ElmoEmbeddingLayer(ElmoConfig(), "layers").save_hdf5(path)
        yield str(path)


def run_workers(
    n_workers: int, source: str, texts: Sequence[str], options: Options
) -> list[Measured]:
    """Lets each of several processes embed the same texts, all at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(n_workers)
    with ProcessPoolExecutor(n_workers, context, _keep_barrier, (barrier,)) as pool:
        jobs = [pool.submit(measure, source, texts, options) for _ in range(n_workers)]
        return [job.result() for job in jobs]


def _keep_barrier(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def measure(source: str, texts: Sequence[str], options: Options) -> Measured:
    """Embeds texts, with one thread."""
    import pyarrow as pa

    from keras_elmo.vectors.ray_worker import Worker

    try:
        worker = Worker(source, options, "embedding", 1, False)
    except BaseException:
        _barrier.abort()  # whatever it was, the others would wait for this one
        raise
    _barrier.wait()
    started = time.perf_counter()
    n_rows = BATCHES_IN_A_TASK * options.batch_size
    for start in range(0, len(texts), n_rows):
        for _ in worker(pa.table({"text": texts[start : start + n_rows]})):
            pass
    return Measured(time.perf_counter() - started, peak_gigabytes())


def print_workers(n_sentences: int, n_tokens: int, results: Sequence[Measured]) -> None:
    """Prints the rate of each worker, its memory, and the rate of all."""
    print(f"{n_sentences:,} sentences of {n_tokens / n_sentences:.1f} tokens each")
    rates = [n_tokens / result.seconds for result in results]
    for number, (rate, result) in enumerate(zip(rates, results, strict=True), 1):
        peak = result.peak_gigabytes
        memory = "" if peak is None else f", {peak:.1f} GB of memory"
        print(f"worker {number}: {rate:,.0f} tokens/s{memory}")
    print(f"together: {sum(rates):,.0f} tokens/s")


def print_billion(
    n_sentences: int, n_tokens: int, n_bytes: int, results: Sequence[Measured]
) -> None:
    """Prints what a billion such sentences take.

    Args:
        n_sentences: Of those that were embedded.
        n_tokens: Of these, together.
        n_bytes: The size of their vectors.
        results: Of the workers, each of which embedded all of them.
    """
    times = BILLION / n_sentences
    rate = sum(n_tokens / result.seconds for result in results) / len(results)
    hours = times * n_tokens / rate / 3600
    print("A billion such sentences, reckoned from that:")
    print(f"{times * n_tokens:.3g} tokens, {times * n_bytes / 1e12:,.1f} TB of vectors")
    print(
        f"{hours:,.0f} hours of a worker: {math.ceil(hours / 24):,} for a day, or "
        f"{math.ceil(hours / 168):,} for a week"
    )


if __name__ == "__main__":
    raise SystemExit(main())
