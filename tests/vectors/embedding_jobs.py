"""Whole runs of ``keras-elmo embed``: killed again and again; how much memory they take."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, Self

from tests.tiny_models import LEAST, saved_model
from tests.vectors.small_jobs import contents

# Reports how much memory it took.
_PROGRAM = """
import os, pathlib, sys
from keras_elmo.cli import main as command
code = command.main(sys.argv[1:])
status = pathlib.Path("/proc/self/status").read_text()
pathlib.Path(os.environ["PEAK_MEMORY_FILE"]).write_text(status)
sys.exit(code)
"""

# Says when it has imported all, runs what each line says, and prints the process and then
# its exit code.
_SERVER = """
import json, os, sys
from keras_elmo.cli import main as command
from keras_elmo.cli import embed
from keras_elmo.vectors import compute
# Often, so that short jobs have progress to lose.
compute.SECONDS_BETWEEN_RECORDS = 0.05
print(flush=True)
for line in sys.stdin:
    job = json.loads(line)
    process = os.fork()
    if not process:
        sys.stdin = open(job["stdin"])
        code = 70
        try:
            code = command.main(job["arguments"])
        finally:
            os._exit(code)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


def write_corpus(path: Path, n_sentences: int, seed: int = 0, n_words: int = 40) -> Path:
    """Sentences of 1 to ``n_words`` random words, as text or CSV."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(1, 9))) for _ in range(3000)]
    lines = ["text"] * (".csv" in path.name)
    for _ in range(n_sentences):
        lines.append(" ".join(rng.choices(words, k=rng.randint(1, n_words))))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([root, str(Path(root) / "examples")])
    return {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}


class Kind(NamedTuple):
    corpus: str  # its name, or "-" for standard input
    output: str
    options: tuple[str, ...] = ()


KINDS = {
    "hdf5": Kind("corpus.txt", "out.hdf5"),
    "npy": Kind("corpus.csv", "out.npy", ("--column", "text")),
    "parquet": Kind("-", "out.parquet", ("--pooled",)),
}


class Jobs:
    """Starts jobs by forks of a process that has imported TensorFlow, which takes long."""

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # bad lines are reported there
            text=True,
            env=_environment(),
        )
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def run(
        self, corpus: Path, kind: Kind, out: Path, source: Path, seconds: float | None
    ) -> int:
        """The exit code of a job, which is killed after some time if it is still there."""
        is_piped = kind.corpus == "-"
        options = ["--source", str(source), "--batch-size", "8", "-q", *kind.options]
        job = {
            "arguments": ["embed", "-" if is_piped else str(corpus), str(out), *options],
            "stdin": str(corpus) if is_piped else os.devnull,
        }
        assert self._server.stdin is not None
        print(json.dumps(job), file=self._server.stdin, flush=True)
        process = int(self._answer())
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return int(self._answer())

    def _answer(self) -> str:
        assert self._server.stdout is not None
        answer = self._server.stdout.readline()
        assert answer, "the process that starts the others has ended"
        return answer


class Kills(NamedTuple):
    """What came of a series of killed jobs."""

    n_kills: int
    n_with_progress: int
    n_jobs: int  # complete, each with the same bytes
    seconds: float  # of one that is not killed


def kill_at_random(
    jobs: Jobs, folder: Path, kind: Kind, n_sentences: int, n_kills: int, seed: int = 0
) -> Kills:
    """Kills jobs at random moments, and starts them again until they are complete.

    All complete files must be those of a job that was not killed; the last one is not.
    """
    rng = random.Random(seed)
    source = saved_model(folder / "model", LEAST)
    name = "corpus.txt" if kind.corpus == "-" else kind.corpus
    corpus = write_corpus(folder / name, n_sentences, seed)
    whole, parts = folder / "whole", folder / "parts"
    whole.mkdir()
    parts.mkdir()
    begun = time.monotonic()
    assert jobs.run(corpus, kind, whole / kind.output, source, None) == 0
    seconds = time.monotonic() - begun
    expected = contents(whole)
    out, record = parts / kind.output, parts / f"{kind.output}.json"
    n_killed = n_with_progress = n_jobs = 0
    is_complete = False
    while n_killed < n_kills or not is_complete:
        moment = rng.uniform(0, seconds) if n_killed < n_kills else None
        code = jobs.run(corpus, kind, out, source, moment)
        is_complete = code == 0
        if is_complete:
            assert contents(parts) == expected, "other files"
            n_jobs += 1
            for path in parts.iterdir():
                path.unlink()
            continue
        assert code == -signal.SIGKILL, f"exit code {code}"
        n_killed += 1
        if out.exists():
            # It was killed on its way out.
            assert out.read_bytes() == expected[out.name], "another file"
        elif record.exists():
            n_with_progress += json.loads(record.read_text())["n_done"] > 0
    return Kills(n_killed, n_with_progress, n_jobs, seconds)


def peak_memory(folder: Path, n_sentences: int) -> int:
    """The peak resident memory of a job on so many sentences, in bytes; on Linux."""
    source = saved_model(folder / "model")
    # Short sentences make few shapes of batches: TensorFlow's allocator takes more memory
    # as long as new ones come, which would hide what remains of each sentence. So would
    # large batches, by what they take at once.
    corpus = write_corpus(folder / "corpus.txt", n_sentences, n_words=8)
    options = ("--batch-size", "32", "--token-budget", "1024", "-q")
    # What wait4 says of a process counts that of its parent too, which it starts as.
    status = folder / "status.txt"
    arguments = ["embed", corpus, folder / "out.hdf5", "--source", source, *options]
    environment = {**_environment(), "PEAK_MEMORY_FILE": str(status)}
    command = [sys.executable, "-c", _PROGRAM, *map(str, arguments)]
    subprocess.run(command, env=environment, check=True)
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())
    return int(kilobytes) * 1024
