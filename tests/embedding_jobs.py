"""Whole runs of ``keras-elmo embed``: killed again and again; how much memory they take.

The tests run small ones. By hand, larger ones:

    export PYTHONPATH=examples
    python -m tests.embedding_jobs --kills 50 --sentences 5000
    python -m tests.embedding_jobs --memory --sentences 5000
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.tiny_models import saved_model

# Progress is recorded often, so that short jobs have some to lose.
_PROGRAM = """
import os, pathlib, sys
from keras_elmo import command
from keras_elmo.corpus import fill
fill.SECONDS_BETWEEN_RECORDS = 0.2
code = command.main(sys.argv[1:])
if "PEAK_MEMORY_FILE" in os.environ:
    status = pathlib.Path("/proc/self/status").read_text()
    pathlib.Path(os.environ["PEAK_MEMORY_FILE"]).write_text(status)
sys.exit(code)
"""


def write_corpus(path: Path, n_sentences: int, seed: int = 0, n_words: int = 40) -> Path:
    """Sentences of 1 to ``n_words`` random words."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(1, 9))) for _ in range(3000)]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(n_sentences):
            file.write(" ".join(rng.choices(words, k=rng.randint(1, n_words))) + "\n")
    return path


def start(
    corpus: Path, out: Path, source: Path, *options: str, **variables: str
) -> subprocess.Popen[bytes]:
    """Starts a job, with some more environment variables."""
    root = str(Path(__file__).resolve().parents[1])
    examples = str(Path(root) / "examples")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([root, examples]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **variables,
    }
    arguments = ["embed", str(corpus), str(out), "--source", str(source), "-q", *options]
    return subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments], env=environment)


class Kills(NamedTuple):
    """What came of a series of killed jobs.

    Attributes:
        n_kills: How many processes were killed while they ran.
        n_with_progress: How many of those kills left progress to go on from.
        n_jobs: How many jobs were completed, each to the same bytes.
        seconds: How long one takes that is not killed.
    """

    n_kills: int
    n_with_progress: int
    n_jobs: int
    seconds: float


def kill_at_random(folder: Path, n_sentences: int, n_kills: int, seed: int = 0) -> Kills:
    """Kills jobs at random moments, and starts them again until they are complete.

    Args:
        folder: An empty one.
        n_sentences: Of the corpus.
        n_kills: How often to kill. The last job is then left to end.
        seed: Of the corpus and the moments.

    Raises:
        AssertionError: A start failed, or a complete file differs from that of a job
            which was not killed.
    """
    rng = random.Random(seed)
    source = saved_model(folder / "model")
    corpus = write_corpus(folder / "corpus.txt", n_sentences, seed)
    begun = time.monotonic()
    assert start(corpus, folder / "whole.hdf5", source, "--batch-size", "8").wait() == 0
    seconds = time.monotonic() - begun
    expected = (folder / "whole.hdf5").read_bytes()
    out = folder / "out.hdf5"
    n_killed = n_with_progress = n_jobs = 0
    while n_killed < n_kills or out.with_name("out.hdf5.json").exists():
        process = start(corpus, out, source, "--batch-size", "8")
        if n_killed < n_kills:
            try:
                process.wait(rng.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        code = process.wait()
        killed = code == -signal.SIGKILL
        assert killed or code == 0, f"exit code {code}"
        record_exists = out.with_name("out.hdf5.json").exists()
        if killed:
            n_killed += 1
            n_with_progress += record_exists
        # A process may be killed on its way out, when its job is done.
        if out.exists():
            assert out.read_bytes() == expected, "another file"
        if out.exists() and not record_exists:
            n_jobs += 1
            out.unlink()
        assert killed or not record_exists, "a record is left of a complete job"
    left = {path.name for path in folder.iterdir()}
    assert left <= {"model", "corpus.txt", "whole.hdf5", "out.hdf5.lock"}, left
    return Kills(n_killed, n_with_progress, n_jobs, seconds)


def peak_memory(folder: Path, n_sentences: int) -> int:
    """The peak resident memory of a job on so many sentences, in bytes; on Linux."""
    source = saved_model(folder / "model")
    # Short sentences make few shapes of batches: TensorFlow's allocator takes more memory
    # as long as new ones come, which would hide what remains of each sentence. So would
    # large batches, by what they take at once.
    corpus = write_corpus(folder / "corpus.txt", n_sentences, n_words=8)
    options = ("--batch-size", "32", "--token-budget", "1024")
    # What wait4 says of a process counts that of its parent too, which it begins as.
    status = folder / "status.txt"
    process = start(
        corpus, folder / "out.hdf5", source, *options, PEAK_MEMORY_FILE=str(status)
    )
    assert process.wait() == 0
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
    return int(kilobytes) * 1024


def main() -> None:
    """Runs a series by hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    if arguments.kills:
        with tempfile.TemporaryDirectory() as folder:
            print(kill_at_random(Path(folder), arguments.sentences, arguments.kills))
    if arguments.memory:
        for n_sentences in (arguments.sentences, 10 * arguments.sentences):
            with tempfile.TemporaryDirectory() as folder:
                n_bytes = peak_memory(Path(folder), n_sentences)
            print(f"{n_sentences:,} sentences: {n_bytes / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
