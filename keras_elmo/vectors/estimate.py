"""Estimates the time and the disk space of a job from a sample of its texts."""

from __future__ import annotations

import shutil
import time
from typing import NamedTuple

from keras_elmo.vectors.compute import Job
from keras_elmo.vectors.embedder import Embedder

_SAMPLE_SECONDS = 10.0


class Estimate(NamedTuple):
    """The size of a job and the speed on a sample."""

    n_sentences: int
    n_tokens: int
    longest: int  # in tokens
    n_bytes: int  # about the file's size, with the sentences if they are kept
    n_bytes_needed: int  # about the space needed while it is written
    n_bytes_free: int
    n_tokens_left: int  # fewer than all if an earlier run has stopped
    tokens_per_second: float  # measured on a sample
    n_tokens_sampled: int

    @property
    def seconds(self) -> float:
        """The remaining time."""
        return self.n_tokens_left / self.tokens_per_second


def estimate_job(job: Job) -> Estimate:
    """Embeds a sample of a job's texts, for about ten seconds, and writes no vectors."""
    n_tokens, store = job.corpus.n_tokens, job.store  # (n,)
    n_done = len(n_tokens) if store.is_complete() else store.n_done() or 0
    n_text_bytes = job.corpus.n_text_bytes * (not job.options.forget_sentences)
    rate, n_sampled = _measured_rate(job)
    return Estimate(
        len(n_tokens),
        int(n_tokens.sum()),
        int(n_tokens.max()),
        store.n_bytes + n_text_bytes,
        store.n_bytes_needed + n_text_bytes,
        shutil.disk_usage(store.path.parent).free,
        int(n_tokens.sum()) - job.corpus.n_tokens_done(n_done),
        rate,
        n_sampled,
    )


def _measured_rate(job: Job) -> tuple[float, int]:
    """Tokens per second on sentences of all lengths from the first chunk, and how many."""
    _, sentences = next(iter(job.corpus.chunks()))
    sentences.sort(key=lambda sentence: -sentence.n_tokens)
    sample = sentences[:: max(1, len(sentences) // (4 * job.options.batch_size))]
    embedder = Embedder(job.layer, job.options)
    # The first batch takes longer: it allocates memory and starts threads.
    next(iter(embedder.batches(sample)))
    started = time.perf_counter()
    n_tokens, elapsed = 0, 0.0
    for rows, _ in embedder.batches(sample):
        n_tokens += sum(sample[i].n_tokens for i in rows)
        elapsed = time.perf_counter() - started
        if elapsed > _SAMPLE_SECONDS:
            break
    # Texts may have no tokens at all.
    return max(n_tokens, 1) / elapsed, n_tokens
