"""What embedding a corpus will take, from a look at it and a few of its batches."""

from __future__ import annotations

import shutil
import time
from typing import NamedTuple

from keras_elmo.text.reader import Sentence
from keras_elmo.vectors.job import Job
from keras_elmo.vectors.scan import chunks

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
    """Embeds a sample of a corpus, for about ten seconds, and writes no vectors.

    Args:
        job: What would be embedded.

    Returns:
        What it would take.

    Raises:
        ValueError: ``path`` was begun with something else.
        FileExistsError: There is another file of this name.
        MemoryError: There is not enough for a single sentence.
    """
    n_tokens = job.scan.n_tokens  # (n,)
    n_done = len(n_tokens) if job.file.is_complete() else job.file.resume() or 0
    n_text_bytes = job.scan.n_text_bytes if job.layout.keeps_sentences else 0
    rate, n_sampled = _measured_rate(job)
    return Estimate(
        len(n_tokens),
        int(n_tokens.sum()),
        int(n_tokens.max()),
        job.file.n_bytes + n_text_bytes,
        job.file.n_bytes_needed + n_text_bytes,
        shutil.disk_usage(job.file.path.parent).free,
        int(n_tokens[n_done:].sum()),
        rate,
        n_sampled,
    )


def _measured_rate(job: Job) -> tuple[float, int]:
    """Tokens per second, and on how many."""
    embedder = job.embedder()
    sentences = _sample(job)
    # The first batch of a layer takes longer: memory is taken, threads are started.
    next(iter(embedder.batches(sentences)))
    begun = time.perf_counter()
    n_tokens, elapsed = 0, 0.0
    for rows, _ in embedder.batches(sentences):
        n_tokens += sum(sentences[i].n_tokens for i in rows)
        elapsed = time.perf_counter() - begun
        if elapsed > _SAMPLE_SECONDS:
            break
    # A corpus may have no tokens at all.
    return max(n_tokens, 1) / elapsed, n_tokens


def _sample(job: Job) -> list[Sentence]:
    """Sentences of the first chunk, of all lengths, for a few batches."""
    _, sentences = next(iter(chunks(job.scan)))
    order = sorted(sentences, key=lambda sentence: -sentence.n_tokens)
    step = max(1, len(order) // (4 * job.options.batch_size))
    return order[::step]
