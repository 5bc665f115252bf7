"""A training that is kept after each epoch goes on as if it had not been interrupted."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo.training import TrainingBackup

pytestmark = pytest.mark.any_backend

X = np.arange(12, dtype=np.float32).reshape(4, 3) / 12
Y = np.array([0.0, 1.0, 1.0, 0.0], dtype=np.float32)


def model(units: int = 1) -> keras.Model:
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(units, kernel_initializer="ones", name="dense")
    made = keras.Model(inputs, dense(inputs))
    made.compile(keras.optimizers.Adam(0.1), "mse")
    return made


def fit(trained: keras.Model, backup: TrainingBackup, epochs: int) -> int:
    epoch = backup.restore(trained)
    trained.fit(
        X,
        Y,
        epochs=epochs,
        initial_epoch=epoch,
        shuffle=False,
        verbose=0,
        callbacks=[backup],
    )
    return epoch


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_goes_on(tmp_path: Path) -> None:
    whole, first, second = model(), model(), model()
    backups = [TrainingBackup(tmp_path / name) for name in ("a", "b", "b")]
    assert fit(whole, backups[0], 4) == 0
    assert fit(first, backups[1], 2) == 0
    (tmp_path / "b" / "epoch_3.part").mkdir()  # as a killed run leaves it
    assert fit(second, backups[2], 4) == 2
    # Adam's moments and its count of steps are kept too.
    for one, other in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)
    assert backups[2].history["loss"] == pytest.approx(backups[0].history["loss"])
    assert len(backups[2].history["loss"]) == 4
    assert names(tmp_path / "b") == {"epoch_4"}
    assert fit(model(), TrainingBackup(tmp_path / "b"), 4) == 4  # there is nothing to do
    assert names(tmp_path / "b") == {"epoch_4"}


def test_what_is_kept_is_not_lost(tmp_path: Path) -> None:
    fit(model(), TrainingBackup(tmp_path), 1)
    with pytest.raises(ValueError, match=r"holds a training that was not restored\. Call"):
        model().fit(X, Y, verbose=0, callbacks=[TrainingBackup(tmp_path)])
    assert names(tmp_path) == {"epoch_1"}


def test_another_model(tmp_path: Path) -> None:
    fit(model(), TrainingBackup(tmp_path), 1)
    with pytest.raises(ValueError, match=r"epoch_1' cannot be restored into this model"):
        TrainingBackup(tmp_path).restore(model(units=2))


def test_a_damaged_file(tmp_path: Path) -> None:
    fit(model(), TrainingBackup(tmp_path), 1)
    (tmp_path / "epoch_1" / "model.weights.h5").write_bytes(b"\x89HDF")
    with pytest.raises(ValueError, match=r"epoch_1' cannot be restored into this model"):
        TrainingBackup(tmp_path).restore(model())
