"""Datasets of Ray Data with vectors, on a local cluster whose workers may be killed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors import embed_dataset, ray_data
from keras_elmo.vectors.options import Options
from keras_elmo.vectors.ray_worker import Worker
from tests.tiny_models import TINY
from tests.vectors.ray_rows import N_ROWS, TEXTS, check_tokens, embedded

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="ray is not installed"
    ),
    # Ray's own: it leaves a log file open for each dataset.
    pytest.mark.filterwarnings("ignore:unclosed file .*ray-data.*log:ResourceWarning"),
]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray Data on a cluster of this machine, with room for two workers."""
    # A socket's path must be short, which pytest's folders are not.
    with (
        tempfile.TemporaryDirectory(prefix="ray") as folder,
        pytest.MonkeyPatch.context() as p,
    ):
        p.setenv("RAY_TMPDIR", folder)
        p.setenv("RAY_USAGE_STATS_ENABLED", "0")
        p.setenv("RAY_worker_niceness", "0")  # on a busy machine they would never end
        p.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's own
            import ray
            import ray.data

            ray.init(
                num_cpus=3,
                include_dashboard=False,
                object_store_memory=100 << 20,
                log_to_driver=False,
            )
            ray.data.DataContext.get_current().enable_progress_bars = False
            yield ray
            ray.shutdown()


def dataset(ray: Any, texts: list[Any]) -> Any:
    """Rows with texts and other columns."""
    rows = [
        {"text": text, "i": i, "more": {"list": [i] * (i % 3)}}
        for i, text in enumerate(texts)
    ]
    return ray.data.from_items(rows, override_num_blocks=5)


def rows_by_number(dataset: Any) -> list[dict[str, Any]]:
    return sorted(dataset.take_all(), key=lambda row: row["i"])


def test_killed_worker(ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vectors of two workers, one of which is killed in the middle of a task."""
    notes, victim = tmp_path / "notes", tmp_path / "victim"

    def note(*what: object) -> None:
        with notes.open("a", encoding="utf-8") as file:  # short lines stay in one piece
            file.write(" ".join(map(str, (os.getpid(), *what))) + "\n")

    class Noting(Worker):
        """Notes what it does; one waits for its end when it has done a part of a task."""

        chunk_bytes = 2000  # a few rows

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            import tensorflow as tf

            note("threads", tf.config.threading.get_intra_op_parallelism_threads())

        def __call__(self, table: Any) -> Iterator[Any]:
            task = table.column("i")[0].as_py()
            note("begins", task)
            for n_parts, part in enumerate(super().__call__(table)):
                if n_parts == 1 and task >= 20:
                    # Only one worker can make the file.
                    with suppress(FileExistsError), victim.open("x") as file:
                        file.write(str(os.getpid()))
                        file.flush()
                        time.sleep(300)
                note("hands over", task)
                yield part
            note("ends", task)

    killed: list[int] = []
    finished = threading.Event()

    def kill() -> None:
        while not finished.wait(0.01):
            if victim.exists() and (pid := victim.read_text(encoding="utf-8")):
                killed.append(int(pid))
                os.kill(killed[0], signal.SIGKILL)
                return

    monkeypatch.setattr(ray_data, "Worker", Noting)
    monkeypatch.setattr(ray_data, "BATCHES_IN_A_TASK", 5)
    # Random weights, which workers cannot make alike by themselves.
    layer = ElmoEmbeddingLayer(TINY, "layers")
    rows = dataset(ray, [*TEXTS, None, "a b c d e f g h i"])
    rows.context.target_max_block_size = 1  # each part that is handed over becomes a block
    options = {"on_error": "skip", "max_tokens": 8, "batch_size": 2, "concurrency": 2}
    vectors = embed_dataset(rows, layer, **options)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        result = rows_by_number(vectors)
    finally:
        finished.set()
        killer.join()

    assert [row["i"] for row in result] == list(range(N_ROWS))
    for i, row in enumerate(result):
        assert list(row) == ["text", "i", "more", "embedding"]
        assert row["text"] == TEXTS[i]
        assert row["more"] == {"list": [i] * (i % 3)}
    check_tokens([row["embedding"] for row in result], layer, TEXTS)

    lines = [line.split() for line in notes.read_text(encoding="utf-8").splitlines()]
    by_pid = {
        int(pid): [" ".join(x[1:]) for x in lines if x[0] == pid] for pid, *_ in lines
    }
    # It was in the middle of a task, of which a part was done, and another one did it.
    of_killed = by_pid.pop(killed[0])
    task = of_killed[-1].split()[-1]
    assert of_killed[-2:] == [f"begins {task}", f"hands over {task}"]
    others = [line for told in by_pid.values() for line in told]
    # What the killed one had just ended, Ray may not know of; it is done again then.
    ended = [line for line in others if line.startswith("ends")]
    assert len(ended) == len(set(ended))
    assert f"begins {task}" in others
    assert f"ends {task}" in others
    assert len(by_pid) >= 2
    assert all(told[0] == "threads 1" for told in by_pid.values())


@pytest.mark.parametrize("num_cpus", [2, 3])
def test_too_few_processors(
    ray: Any, num_cpus: int, caplog: pytest.LogCaptureFixture
) -> None:
    embed_dataset(dataset(ray, TEXTS), "mini", num_cpus=num_cpus)  # of 3; not computed
    told = "no room for a worker with num_cpus=3 and num_gpus=0, and another CPU to"
    assert (told in caplog.text) == (num_cpus == 3)


def test_example(ray: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow
    from pyarrow import parquet

    example = importlib.import_module("embed_with_ray")
    output = tmp_path / "an output"
    options = ["--pooled", "--layers", "top", "--workers", "1"]

    # One clear error, of the type that embed_dataset raises, and nothing is left behind.
    bad = tmp_path / "job.json"
    rows = [{"text": text, "i": i} for i, text in enumerate(["a b", "", "x" * 99 + " b c"])]
    bad.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"job\.json: dataset: rows whose") as raised:
        example.main([str(output), str(bad), *options, "--max-tokens", "2"])
    assert str(raised.value).splitlines()[1:] == [
        f"'{'x' * 60}'...: 3 tokens, more than 2",
        "Mend them, or choose on_error='repair' or 'skip'.",
    ]
    context = raised.value.__context__
    assert context is not None
    assert isinstance(context.__cause__, ValueError)
    assert not [path for path in output.iterdir() if not path.is_file()]

    # As if it had been killed at the second file: the first is left as it is.
    inputs = [tmp_path / "a.txt", tmp_path / "b.txt"]
    inputs[0].touch()
    (output / "a.txt").mkdir()
    lines = [*(text.encode() for text in TEXTS[:9]), b"\xff b", b"", "é\u2028f".encode()]
    inputs[1].write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    (output / ".unfinished-0").mkdir()
    (output / ".unfinished-0" / "half").touch()
    argv = [str(output), *map(str, inputs), *options, "--on-error", "repair"]
    with pytest.raises(SystemExit, match="these differ: on_error, max_tokens"):
        example.main(argv)
    (output / "a.txt").rmdir()
    example.check_same_job(example.parsed(argv))  # nothing is done: other options will do
    (output / "a.txt").mkdir()
    capsys.readouterr()
    assert example.main(argv) == 0
    assert "a.txt: done before" in capsys.readouterr().out
    assert not list((output / "a.txt").iterdir())
    assert not list(output.glob(".unfinished*"))

    layer = ElmoEmbeddingLayer("mini", "pooled_layers")
    files = sorted((output / "b.txt").iterdir())
    assert all(file.suffix == ".parquet" for file in files)
    table = pyarrow.concat_tables(map(parquet.read_table, files))
    texts = [*TEXTS[:9], "\ufffd b", "", "é\u2028f"]
    assert table.column("text").to_pylist() == texts
    vectors = np.array(table.column("embedding").to_pylist())
    tokens = [" ".join(text.split()) for text in texts]
    expected = np.array(layer(tokens)[:, -1])  # (n, D)
    expected[10] = 0  # a sentence without tokens
    np.testing.assert_allclose(vectors, expected, atol=1e-6)

    inputs[1].write_text("other", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"these differ: b\.txt"):
        example.main(argv)
    with pytest.raises(SystemExit, match=r"holds something else: .*a\.txt"):
        example.main([str(tmp_path), *argv[1:]])
    (output / example.RECORD).write_text("{", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"\.job\.json is damaged"):
        example.main(argv)
    with pytest.raises(SystemExit, match=r"a\.txt is a file; OUTPUT must be a folder"):
        example.main([str(inputs[0]), *argv[1:]])
    (tmp_path / "d.csv.gz").touch()
    with pytest.raises(SystemExit, match=r"d\.csv\.gz' is a table. Make lines, JSON"):
        example.main([str(output), str(tmp_path / "d.csv.gz")])
    (tmp_path / ".c").touch()
    with pytest.raises(SystemExit, match=r"\.c' begins with a dot, as this program's own"):
        example.main([str(output), str(tmp_path / ".c")])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"column": "txt"}, ValueError, "column must be one of the dataset's, 'text', 'i'"),
        (
            {"output_column": "i"},
            ValueError,
            "output_column='i' is a column of",
        ),
        ({"concurrency": 0}, ValueError, "concurrency must be a positive integer; got 0"),
        ({"num_cpus": 0}, ValueError, "num_cpus must be a number above 0; got 0"),
        (
            {"num_gpus": float("nan")},
            ValueError,
            "num_gpus must be a number from 0 on",
        ),
        ({"dtype": "float64"}, ValueError, "dtype must be one of 'float32', 'float16'"),
        ({"source": 3}, TypeError, "source must be a name, a path, a URL, an ElmoConfig"),
        ({"dataset": ["a b"]}, TypeError, "dataset must be a ray.data.Dataset; got"),
    ],
)
def test_wrong_arguments(
    ray: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    rows = arguments.pop("dataset", None) or dataset(ray, TEXTS).materialize()
    with pytest.raises(error, match=message):
        embed_dataset(rows, arguments.pop("source", "mini"), **arguments)


def test_trained_mix_of_a_layer(ray: Any, source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "elmo")
    layer.scalar_mix.layer_weights.assign([0.3, -0.2, 0.5])
    layer.scalar_mix.gamma.assign(1.3)
    reference = ray_data._for_workers(layer, Options("mix"), ray)
    (row,) = embedded(reference, ["a b c"], layers="mix")
    np.testing.assert_allclose(row["embedding"], layer(["a b c"])[0], atol=1e-6)
