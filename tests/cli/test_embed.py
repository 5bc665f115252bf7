"""``keras-elmo embed``: what it reads and writes, exit codes, and whole runs of it."""

from __future__ import annotations

import gzip
import io
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf
from rich.filesize import decimal

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.cli.embed import _duration
from keras_elmo.cli.main import main
from keras_elmo.encoding import Program
from keras_elmo.errors import DiskFullError
from keras_elmo.vectors import open_embeddings
from keras_elmo.vectors.store import Store
from tests.cli.conftest import Run
from tests.tiny_models import LEAST, saved_model
from tests.vectors.embedding_jobs import KINDS, Jobs, kill_at_random, peak_memory

TEXT = "the cat sat\na dog\none two three four five\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The smallest model: each command compiles a program of its own."""
    return str(saved_model(tmp_path_factory.mktemp("least"), LEAST))


@pytest.fixture
def embed(source: str, folder: Path, run: Run) -> Run:
    """Runs the command in a folder with a corpus."""
    Path("in.txt").write_text(TEXT)
    return lambda *arguments: run("embed", *arguments, "--source", source)


def test_writes_what_the_function_writes(embed: Run, source: str) -> None:
    code, out, err = embed("in.txt", "out.hdf5", "--average", "--dtype", "float16")
    assert code == 0
    written = Path("out.hdf5").stat()
    size = decimal(written.st_size)
    assert out == f"Wrote 'out.hdf5' ({size}): 3 sentences, 10 tokens.\n"
    assert "Embedding: 100%" in err
    options = {"layers": "average", "dtype": "float16", "progress": False}
    compute_features(source, Path("in.txt"), "same.hdf5", **options)
    assert Path("out.hdf5").read_bytes() == Path("same.hdf5").read_bytes()
    finished = "'out.hdf5' is finished (3 sentences, 10 tokens). Nothing was written.\n"
    again = embed("in.txt", "out.hdf5", "--average", "--dtype", "float16")
    assert again == (0, finished, "")
    assert Path("out.hdf5").stat().st_mtime_ns == written.st_mtime_ns
    assert sorted(path.name for path in Path().glob("out*")) == ["out.hdf5"]
    code, _, err = embed("in.txt", "out.hdf5", "--top", "--dtype", "float16")
    assert code == 1
    assert "differ: layers ('average', now 'top')" in err
    assert err.count("\n") == 1


def test_inputs(embed: Run, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = TEXT.splitlines()
    Path("in.jsonl").write_text("".join(f'{{"review": "{row}"}}\n' for row in rows))
    table = "id,review\n" + "".join(f"7,{row}\n" for row in rows)
    Path("packed").write_bytes(gzip.compress(table.encode()))
    expected = ElmoEmbeddingLayer(source, "pooled_layers")(rows)
    for i, arguments in enumerate(
        (
            ["in.jsonl", "--column", "review"],
            ["packed", "--format", "csv", "--column", "review"],
            ["-"],
            ["-", "--format", "jsonl", "--column", "review"],
        )
    ):
        piped = Path("in.jsonl" if "jsonl" in arguments else "in.txt").read_bytes()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(piped)))
        out = f"out{i}.parquet"
        assert embed(*arguments[:1], out, *arguments[1:], "--pooled", "-q") == (0, "", "")
        with open_embeddings(out) as found:
            np.testing.assert_allclose(found, expected, atol=1e-6)
            assert found.sentences == rows
        assert not Path(f"{out}.stdin").exists()


def test_sentences_as_keys_or_not_at_all(embed: Run) -> None:
    assert embed("in.txt", "a.hdf5", "--use-sentence-keys", "-q")[0] == 0
    assert embed("in.txt", "b.hdf5", "--forget-sentences", "-q")[0] == 0
    with h5py.File("a.hdf5", "r") as file:
        assert sorted(file) == sorted(TEXT.splitlines())
    with h5py.File("b.hdf5", "r") as file:
        assert sorted(file) == ["0", "1", "2"]


def test_proteins(embed: Run) -> None:
    Path("p.fasta.gz").write_bytes(gzip.compress(b">P1 x\nmkv*\n>P2\nMK\n"))
    assert embed("p.fasta.gz", "a.h5", "--sum", "--pooled", "-q")[0] == 0
    with h5py.File("a.h5", "r") as file:
        assert {name: file[name].shape for name in file} == {"P1": (16,), "P2": (16,)}
    assert embed("p.fasta.gz", "a.parquet", "--pooled", "sum", "-q")[0] == 0
    assert open_embeddings("a.parquet").sentences == ["P1", "P2"]


def test_bad_lines(embed: Run, caplog: pytest.LogCaptureFixture) -> None:
    Path("in.txt").write_bytes(TEXT.encode() + b"\n\xff\n" + b"w " * 30)
    code, out, err = embed("in.txt", "out.npy", "--max-tokens", "20")
    assert (code, out) == (1, "")
    told = [
        "'in.txt', line 5: not UTF-8 (byte 1)",
        "'in.txt', line 6: 30 tokens, more than 20",
    ]
    assert err == (
        "keras-elmo: error: 2 lines of 'in.txt' cannot be embedded unchanged. Correct the "
        "input, or use --on-error repair or --on-error skip.\n"
    )
    assert caplog.messages == told
    caplog.clear()
    skip = ("--max-tokens", "20", "--on-error", "skip", "-q")
    assert embed("in.txt", "a.npy", *skip)[:2] == (0, "")
    assert caplog.messages == [f"{line}; left out" for line in told]
    assert len(open_embeddings("a.npy")) == 4


def test_dry_run(embed: Run) -> None:
    Path("in.txt").write_text(TEXT * 100)
    code, out, err = embed("in.txt", "out.hdf5", "--dry-run")
    assert (code, err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["sentences"] == "300"
    assert rows["tokens"] == "1,000, 5 in the longest sentence"
    assert rows["rate"].endswith("tokens/s, measured on 1,000 here and now")
    assert out.splitlines()[5] == "to do      1,000 tokens"
    assert rows["time"].endswith(" seconds")
    assert [path.name for path in Path().iterdir()] == ["in.txt"]
    embed("in.txt", "out.hdf5", "-q")
    size = Path("out.hdf5").stat().st_size
    # HDF5 is written when all vectors are there.
    needed = float(rows["room"].split(" kB needed, ")[0]) * 1000
    assert 1.3 * size < needed < 2 * size
    assert rows["room"].endswith("B free")
    told = float(rows["file"].removesuffix(" kB")) * 1000
    assert 0.9 * size < told < 1.1 * size
    out = embed("in.txt", "out.hdf5", "--dry-run")[1]
    assert out.splitlines()[5] == "to do      0 tokens"
    assert embed("in.txt", "out.hdf5", "--dry-run", "--top")[0] == 1


def test_durations() -> None:
    assert _duration(0.2) == "0 seconds"
    assert _duration(1.2) == "1 second"
    assert _duration(59.9) == "1 minute"
    assert _duration(600) == "10 minutes"
    assert _duration(3599) == "1 hour"
    assert _duration(3600 * 2000 + 300) == "2,000 hours 5 minutes"


NO_MEMORY = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (DiskFullError("path: is full. Make room."), "OUTPUT: is full. Make room."),
        (NO_MEMORY, "there is not enough memory"),
    ],
)
def test_exit_code_3(
    embed: Run, failure: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Store, n_done: int) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_progress", full)
        error = f"keras-elmo: stopped: {message}\n"
        assert embed("in.txt", "out.hdf5", "-q") == (3, "", error)
    assert embed("in.txt", "out.hdf5", "-q") == (0, "", "")


def test_interrupted(embed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = Program.__call__
    calls = iter(range(1000))

    def signalled(self: Program, texts: Any) -> Any:
        if next(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return vectors(self, texts)

    # A shell lets what it starts in the background ignore SIGINT, as the command does then.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(Program, "__call__", signalled)
    error = "keras-elmo: stopped by SIGINT. The same command continues from here.\n"
    assert embed("in.txt", "out.hdf5", "--batch-size", "1", "-q") == (130, "", error)
    assert '"n_done": 1' in Path("out.hdf5.json").read_text()
    assert embed("in.txt", "out.hdf5", "--batch-size", "1", "-q") == (0, "", "")
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_standard_input_is_closed(embed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = embed("-", "out.hdf5")
    assert code == 1
    assert "INPUT is '-', but standard input is closed" in err


def test_in_a_thread(embed: Run, source: str) -> None:
    """Signals are for the main thread; the work is not."""
    with ThreadPoolExecutor() as pool:
        arguments = ["embed", "in.txt", "out.npy", "--source", source, "-q"]
        assert pool.submit(main, arguments).result() == 0
    assert len(open_embeddings("out.npy")) == 3


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path, report_figure: Any) -> None:
    with Jobs() as jobs:
        for name in ("hdf5", "npy", "parquet"):
            folder = tmp_path / name
            folder.mkdir()
            found = kill_at_random(jobs, folder, KINDS[name], n_sentences=500, n_kills=2)
            report_figure(f"embed to {name}, killed and started again", str(found))
            assert found.n_kills == 2
            assert found.n_jobs >= 1


@pytest.mark.slow
def test_peak_memory_of_a_longer_corpus(tmp_path: Path, report_figure: Any) -> None:
    sizes = []
    for n_sentences in (2000, 20_000):
        folder = tmp_path / str(n_sentences)
        folder.mkdir()
        sizes.append(peak_memory(folder, n_sentences))
    report_figure("embed, peak memory of a corpus ten times longer", f"{sizes} bytes")
    assert sizes[1] < 1.1 * sizes[0]
