"""The recipes of docs/distributed.md: several devices, and runs that resume."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.tiny_models import LEAST, saved_model
from tests.training.distributed_training import TEXTS, classifier, dataset, trained

pytestmark = pytest.mark.slow

Numbers = dict[str, np.ndarray]
Report = Callable[[str, float], None]
ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "examples")])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distribution")
    saved_model(folder / "model", LEAST)
    return folder


def run(folder: Path, kind: str, **variables: str) -> Numbers:
    """Trains on two devices, in a process of its own."""
    program = [sys.executable, "-m", "tests.training.distributed_training"]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": PYTHONPATH}
    subprocess.run(
        [*program, folder, kind], env=environment | variables, cwd=ROOT, check=True
    )
    with np.load(folder / f"{kind}.npz") as numbers:
        return dict(numbers)


def check_equal(found: Numbers, expected: Numbers, what: str, report: Report) -> None:
    assert expected["losses"][-1] < 0.95 * expected["losses"][0]
    for name, values in expected.items():
        assert found[name].shape == values.shape
        error = np.abs(found[name] - values).max()
        report(f"{what} and one device, {name} after training", error)
        assert error < 1e-4, name


def test_mirrored_strategy(folder: Path, report_error: Report) -> None:
    found = run(folder, "mirrored")
    # fit looks at the first batch under a strategy, which begins another epoch.
    expected = trained(classifier(folder / "model"), dataset(initial_epoch=1))
    check_equal(found, expected, "MirroredStrategy", report_error)
    assert "stateful does not work under a tf.distribute" in str(found["stateful"])
    # The saved model needs no strategy, and its weights fit a model that takes strings.
    model = keras.saving.load_model(folder / "mirrored.keras")
    strings = classifier(folder / "model", "sentences")
    strings.set_weights(model.get_weights())
    predictions = strings.predict(np.array(TEXTS, dtype=object), verbose=0)
    np.testing.assert_allclose(predictions, found["predictions"], atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_data_parallel_on_jax(folder: Path, report_error: Report) -> None:
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    found = run(folder, "data_parallel", KERAS_BACKEND="jax", XLA_FLAGS=flags)
    assert int(found["n_devices"]) == 2
    expected = trained(classifier(folder / "model"), dataset())
    check_equal(found, expected, "DataParallel on JAX", report_error)


def test_backup_and_restore(folder: Path, tmp_path: Path) -> None:
    expected = trained(classifier(folder / "model"), dataset())
    backup = tmp_path / "backup"
    record = backup / "training_metadata.json"

    def resumed(*callbacks: keras.callbacks.Callback) -> tuple[keras.Model, list[float]]:
        epoch = json.loads(record.read_text())["epoch"] if record.exists() else 0
        model = classifier(folder / "model")
        keep = keras.callbacks.BackupAndRestore(backup, double_checkpoint=True)
        data = dataset(initial_epoch=epoch)
        fit = model.fit(
            data, epochs=4, shuffle=False, verbose=0, callbacks=[keep, *callbacks]
        )
        return model, fit.history["loss"]

    batches: list[int] = []

    def interrupt(batch: int, logs: object) -> None:
        batches.append(batch)
        if len(batches) == 5:  # the first one of the third epoch
            raise KeyboardInterrupt("killed here")

    with pytest.raises(KeyboardInterrupt, match="killed here"):
        resumed(keras.callbacks.LambdaCallback(on_train_batch_end=interrupt))
    assert json.loads(record.read_text())["epoch"] == 2
    model, losses = resumed()
    np.testing.assert_allclose(losses, expected["losses"][2:], atol=1e-5)
    weights = np.concatenate([np.ravel(w) for w in model.get_weights()])
    np.testing.assert_allclose(weights, expected["weights"], atol=1e-5)
    assert not backup.exists()
