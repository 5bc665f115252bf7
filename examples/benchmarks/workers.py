"""Estimates the cost of a large corpus from workers with one processor each.

All workers embed the same sentences at the same time, as with Ray, but without Ray's
overhead. The program computes the cost of a billion sentences from their rates::

    python examples/benchmarks/workers.py --workers 2 --data aclImdb_v1.tar.gz
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, text_dataset, tokenize
from keras_elmo.text.imdb import load_imdb
from keras_elmo.text.reviews import load_reviews

BILLION = 10**9

barrier: Any = None  # workers start when all of them have loaded the layer


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Estimate the cost of a large corpus.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--source", help="the ELMo model; by default random weights of a released shape")
    add("--data", help="aclImdb_v1.tar.gz; default: the package's own reviews")
    add("--sentences", type=int, default=4096, help="per worker")
    add("--workers", type=int, default=1, help="number of workers")
    add("--pooled", action="store_true", help="one vector per sentence and layer")
    args = parser.parse_args()
    _, (reviews, _) = load_imdb(args.data) if args.data else load_reviews()
    # A sentence ends after a mark and the closing quotes and brackets.
    marked = [re.sub(r"([.!?]+['\")\]]*) (?=[^a-z])", r"\1\n", text) for text in reviews]
    sentences = dict.fromkeys("\n".join(marked).split("\n"))  # each once
    found = [" ".join(tokenize(sentence)) for sentence in sentences]
    texts = random.Random(0).sample(found, min(args.sentences, len(found)))
    n_tokens = sum(len(text.split()) for text in texts)

    context = multiprocessing.get_context("spawn")
    starting = context.Barrier(args.workers)
    with tempfile.TemporaryDirectory() as folder:
        source = args.source
        if source is None:
            source = str(Path(folder, "elmo"))
            ElmoEmbeddingLayer(ElmoConfig(), "layers").save_hdf5(source)
        with ProcessPoolExecutor(args.workers, context, set_up, (starting,)) as pool:
            jobs = [
                pool.submit(measure, source, texts, args.pooled)
                for _ in range(args.workers)
            ]
            results = [job.result() for job in jobs]
    print(f"{len(texts):,} sentences of {n_tokens / len(texts):.1f} tokens each")
    for number, (seconds, _, memory) in enumerate(results, 1):
        print(f"worker {number}: {n_tokens / seconds:,.0f} tokens/s, {memory:.1f} GB")
    n_bytes = results[0][1]
    print_billion(len(texts), n_tokens, n_bytes, [seconds for seconds, _, _ in results])


def set_up(starting: Any) -> None:
    """Prepares a worker: one thread, and the barrier that starts it."""
    global barrier
    barrier = starting
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def measure(source: str, texts: list[str], pooled: bool) -> tuple[float, int, float]:
    """Embeds texts; returns seconds, bytes of float32 vectors and peak memory in GB."""
    try:
        layer = ElmoEmbeddingLayer(source, "pooled_layers" if pooled else "layers")
        text = keras.Input((), dtype="string")
        model = keras.Model(text, layer(text))
        for size in (1, 2):  # what is traced for two sizes is for any
            model.predict_on_batch(tf.constant(texts[:size]))
    except BaseException:
        barrier.abort()  # the others would wait for this one
        raise
    dataset = text_dataset(texts, batch_size=128, token_budget=16384, group_by_length=True)
    barrier.wait()
    started = time.perf_counter()
    for batch in dataset:
        vectors = model.predict_on_batch(batch)  # (batch, ..., n_layers + 1, D)
    seconds = time.perf_counter() - started
    n_vectors = len(texts) if pooled else sum(len(text.split()) for text in texts)
    n_bytes = n_vectors * 4 * math.prod(vectors.shape[-2:])
    status = Path("/proc/self/status")
    peak = status.read_text("utf-8").split("VmHWM:")[1].split()[0] if status.exists() else 0
    return seconds, n_bytes, int(peak) * 1024 / 1e9


def print_billion(
    n_sentences: int, n_tokens: int, n_bytes: int, seconds: list[float]
) -> None:
    """Prints the cost of a billion such sentences, from each worker's seconds."""
    times = BILLION / n_sentences
    rates = [n_tokens / each for each in seconds]
    hours = times * n_tokens / (sum(rates) / len(rates)) / 3600
    print(f"together: {sum(rates):,.0f} tokens/s\nA billion such sentences at these rates:")
    print(f"{times * n_tokens:.3g} tokens, {times * n_bytes / 1e12:,.1f} TB in float32")
    day, week = math.ceil(hours / 24), math.ceil(hours / 168)
    print(f"{hours:,.0f} hours of a worker: {day:,} for a day, or {week:,} for a week")


if __name__ == "__main__":
    main()
