"""Datasets of Ray Data with vectors, on a local cluster whose workers may be killed."""

from __future__ import annotations

import importlib.util
import math
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
from tests.vectors.small_jobs import check_tokens
from tests.vectors.test_ray_worker import TEXTS, embedded

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
        result = sorted(vectors.take_all(), key=lambda row: row["i"])
    finally:
        finished.set()
        killer.join()

    assert [row["i"] for row in result] == list(range(len(TEXTS)))
    for i, row in enumerate(result):
        assert list(row) == ["text", "i", "more", "embedding"]
        assert row["text"] == TEXTS[i]
        assert row["more"] == {"list": [i] * (i % 3)}
    check_tokens([row["embedding"] for row in result], layer(TEXTS), TEXTS)

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


def test_bad_rows_end_the_job(ray: Any) -> None:
    rows = dataset(ray, ["a b", "", "x" * 99 + " b c"])
    message = (
        rf"the column 'text' of these rows [\s\S]*'{'x' * 60}'\.\.\.: 3 tokens, more than 2"
    )
    with pytest.raises(ValueError, match=message):
        embed_dataset(rows, "mini", max_tokens=2).take_all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"column": "txt"}, ValueError, "column must name .*, one of 'text', 'i'"),
        ({"output_column": "i"}, ValueError, "output_column='i' is already a column"),
        ({"concurrency": 0}, ValueError, "concurrency must be a positive integer; got 0"),
        ({"num_cpus": 0}, ValueError, "num_cpus must be a number above 0; got 0"),
        ({"num_gpus": math.nan}, ValueError, "num_gpus must be a number from 0 on"),
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
    layer.scalar_mix.layer_weights.assign([0.3, -0.2])
    layer.scalar_mix.gamma.assign(1.3)
    reference = ray_data._for_workers(layer, Options("mix"), ray)
    (row,) = embedded(reference, ["a b c"], layers="mix")
    np.testing.assert_allclose(row["embedding"], layer(["a b c"])[0], atol=1e-6)
