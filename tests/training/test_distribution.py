"""Training on two devices and by two workers gives what one device gives."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from tests.hub.tf_hub_modules import write_module
from tests.tiny_models import LEAST, saved_model
from tests.training.distributed_training import (
    EPOCHS,
    TEXTS,
    classifier,
    dataset,
    tagged,
    tagger,
    trained,
    used,
)

Report = Callable[[str, float], None]
Numbers = dict[str, np.ndarray]

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240  # of a run; a machine with two cores takes a quarter of it
KILLED_IN = 2  # the epoch, from 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distribution")
    saved_model(folder / "model", LEAST)
    write_module(folder / "module")
    return folder


@pytest.fixture(scope="module")
def one_device(folder: Path) -> Numbers:
    model = classifier(folder / "model")
    numbers = trained(model, dataset()) | used(model)
    assert numbers["losses/loss"][-1] < 0.9 * numbers["losses/loss"][0]
    return numbers


def start(folder: Path, what: str, **environment: str) -> subprocess.Popen[str]:
    with (folder / f"{what}.log").open("a") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.training.distributed_training",
                str(folder),
                what,
            ],
            stdout=log,
            stderr=log,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            cwd=ROOT,
        )


def finished(folder: Path, what: str, **environment: str) -> Numbers:
    """What a process wrote that runs by itself."""
    process = start(folder, what, **environment)
    with killed_at_the_end([process]):
        assert process.wait(LIMIT_S) == 0, (folder / f"{what}.log").read_text()
    return numbers_of(folder, what)


def numbers_of(folder: Path, name: str) -> Numbers:
    with np.load(folder / f"{name}.npz") as numbers:
        return dict(numbers)


@contextlib.contextmanager
def killed_at_the_end(processes: list[subprocess.Popen[str]]):
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def two_workers(folder: Path, kill: int | None = None) -> list[subprocess.Popen[str]]:
    """Starts both workers, of which one may be killed in the midst of an epoch."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        ports = [free.getsockname()[1] for free in sockets]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    workers = []
    for index in range(2):
        task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = {"TF_CONFIG": json.dumps(task)}
        if index == kill:
            environment["KILL_IN"] = str(KILLED_IN)
        workers.append(start(folder, "worker", **environment))
    return workers


def assert_equal(found: Numbers, expected: Numbers, report: Report, what: str) -> None:
    compared = [name for name in found if name in expected]
    assert sum(name.startswith("weights/") for name in compared) == 13 + 2
    for name in compared:
        error = np.abs(found[name] - expected[name]).max()
        kind = name.partition("/")[0]
        report(f"{what} and one device, {kind} after training", error)
        assert error < 1e-4, name


@pytest.fixture(scope="module")
def mirrored(folder: Path) -> Numbers:
    return finished(folder, "mirrored")


def test_two_devices_train_as_one(
    mirrored: Numbers, one_device: Numbers, report_error: Report
) -> None:
    assert one_device.keys() <= mirrored.keys()
    assert len(one_device["losses/loss"]) == EPOCHS
    assert_equal(mirrored, one_device, report_error, "MirroredStrategy")


def test_masked_tokens_weigh_the_same_on_each_device(
    mirrored: Numbers, folder: Path
) -> None:
    for name, expected in tagged(tagger(folder / "model")).items():
        np.testing.assert_allclose(mirrored[f"tagger/{name}"], expected, atol=1e-5)


def test_a_distributed_model_is_loaded_without_a_strategy(
    mirrored: Numbers, folder: Path
) -> None:
    model = keras.saving.load_model(folder / "mirrored.keras")
    model.run_eagerly = True
    found = model.predict(np.array(TEXTS, dtype=object), verbose=0)
    np.testing.assert_allclose(found, mirrored["predictions"], atol=1e-5)


def test_vocabulary_cache_and_hub_engine_on_two_devices(
    mirrored: Numbers, folder: Path
) -> None:
    layer = ElmoEmbeddingLayer(folder / "model")
    np.testing.assert_allclose(mirrored["cached"], layer(TEXTS[:3]), atol=1e-5)
    layer = ElmoEmbeddingLayer(folder / "module", engine="hub")
    np.testing.assert_allclose(mirrored["hub"], layer(TEXTS[:3]), atol=1e-5)


def test_what_does_not_work_on_two_devices_says_so(mirrored: Numbers) -> None:
    assert "stateful does not work under a tf.distribute" in str(mirrored["stateful"])
    message = str(mirrored["outside"])
    assert "'outside/bilm/token_encoder/char_embedding' was made outside of the" in message
    assert "gradient_accumulation_steps=2: Keras does not" in str(mirrored["accumulating"])


def test_workers_that_were_killed_go_on_and_end_as_one_device(
    folder: Path,
    one_device: Numbers,
    report_error: Report,
    report_figure: Callable[[str, str], None],
) -> None:
    with killed_at_the_end(two_workers(folder, kill=1)) as (left, killed):
        assert killed.wait(LIMIT_S) == -signal.SIGKILL
        begin = time.monotonic()
        assert left.wait(120) == 0, (folder / "worker.log").read_text()
        seconds = time.monotonic() - begin
    report_figure("a worker killed: the other one ends after", f"{seconds:.1f} s")
    message = str(numbers_of(folder, "worker_0")["lost"])
    assert message.startswith("Another worker of the cluster has ended or does not answer")
    assert "Start all workers again" in message
    assert [path.name for path in (folder / "backup").iterdir()] == [f"epoch_{KILLED_IN}"]

    with killed_at_the_end(two_workers(folder)) as workers:
        for worker in workers:
            assert worker.wait(LIMIT_S) == 0, (folder / "worker.log").read_text()
    for name in ("worker_0", "worker_1"):
        found = numbers_of(folder, name)
        # They went on, and tell what was before.
        assert len(found.pop("losses/loss")) == EPOCHS - KILLED_IN
        found["losses/loss"] = found["history/loss"]
        assert len(found["history/loss"]) == EPOCHS
        del found["losses/accuracy"]
        assert_equal(found, one_device, report_error, "MultiWorkerMirroredStrategy")


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_two_devices_of_jax_train_as_one(folder: Path, report_error: Report) -> None:
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    found = finished(folder, "data-parallel", KERAS_BACKEND="jax", XLA_FLAGS=flags)
    assert int(found.pop("n_devices")) == 2
    one = {name[4:]: x for name, x in found.items() if name.startswith("one/")}
    two = {name[4:]: x for name, x in found.items() if name.startswith("two/")}
    assert one["losses/loss"][-1] < 0.95 * one["losses/loss"][0]
    assert_equal(two, one, report_error, "DataParallel on JAX")
