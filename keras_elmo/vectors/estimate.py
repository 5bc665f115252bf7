"""What embedding texts will take, from a look at them and a few of their batches."""

from __future__ import annotations

import shutil
import time
from typing import NamedTuple

from keras_elmo.text.reader import Sentence
from keras_elmo.vectors.compute import Job
from keras_elmo.vectors.embedder import Embedder

_SAMPLE_SECONDS = 10.0


class Estimate(NamedTuple):
    """What a job takes.

    Attributes:
        n_sentences: How many there are.
        n_tokens: How many tokens they have together.
        longest: How many the longest has.
        n_bytes: About the size of the file, with the sentences if they are kept.
        n_bytes_needed: About the room that is needed while it is made.
        n_bytes_free: The room that there is.
        n_tokens_left: How many tokens are to be done; fewer than all where an earlier run
            has stopped.
        tokens_per_second: How fast, measured on a sample.
        n_tokens_sampled: How large the sample was.
    """

    n_sentences: int
    n_tokens: int
    longest: int
    n_bytes: int
    n_bytes_needed: int
    n_bytes_free: int
    n_tokens_left: int
    tokens_per_second: float
    n_tokens_sampled: int

    @property
    def seconds(self) -> float:
        """The time that is left."""
        return self.n_tokens_left / self.tokens_per_second


def estimate_job(job: Job) -> Estimate:
    """Embeds a sample of a job's texts, for about ten seconds, and writes no vectors.

    Raises:
        ValueError: ``path`` was started with something else.
        FileExistsError: There is another file of this name.
        MemoryError: There is not enough for a single sentence.
    """
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
        int(n_tokens[n_done:].sum()),
        rate,
        n_sampled,
    )


def _measured_rate(job: Job) -> tuple[float, int]:
    """Tokens per second, and on how many."""
    embedder, sentences = Embedder(job.layer, job.options), _sample(job)
    # The first batch of a layer takes longer: memory is taken, threads are started.
    next(iter(embedder.batches(sentences)))
    started = time.perf_counter()
    n_tokens, elapsed = 0, 0.0
    for rows, _ in embedder.batches(sentences):
        n_tokens += sum(sentences[i].n_tokens for i in rows)
        elapsed = time.perf_counter() - started
        if elapsed > _SAMPLE_SECONDS:
            break
    # Texts may have no tokens at all.
    return max(n_tokens, 1) / elapsed, n_tokens


def _sample(job: Job) -> list[Sentence]:
    """Sentences of the first chunk, of all lengths, for a few batches."""
    _, sentences = next(iter(job.corpus.chunks()))
    order = sorted(sentences, key=lambda sentence: -sentence.n_tokens)
    step = max(1, len(order) // (4 * job.options.batch_size))
    return order[::step]
