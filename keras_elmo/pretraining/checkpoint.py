"""The checkpoint and the log of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_elmo.pretraining.npz import load_npz, save_npz
from keras_elmo.types import check_integer
from keras_elmo.weights.atomic import replacing

CHECKPOINT_NAME = "checkpoint.npz"
LOG_NAME = "log.csv"


class Checkpoint(keras.callbacks.Callback):
    """Saves the model after each epoch, and stops a training run that diverges.

    The file includes the carried state and the states of the random number generators,
    which Keras' own format leaves out.
    """

    def __init__(self, directory: Path, steps_per_epoch: int) -> None:
        super().__init__()
        self.path = directory / CHECKPOINT_NAME
        self.steps_per_epoch = steps_per_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps_before = epoch * self.steps_per_epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not np.isfinite(loss):
            step = self._steps_before + batch + 1
            self._diverged(f"The loss became {loss} in step {step:,}.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        step = self._steps_before + self.steps_per_epoch
        arrays = {"steps": np.asarray(step)}
        for name, variable in _variables(self.model).items():
            arrays[name] = ops.convert_to_numpy(variable)
            if not np.isfinite(arrays[name]).all():
                self._diverged(f"{variable.path} is not finite after step {step:,}.")
        save_npz(self.path, arrays)

    def _diverged(self, what: str) -> None:
        kept = "The last checkpoint is kept. " if self.path.exists() else ""
        raise FloatingPointError(
            f"{what} {kept}Lower learning_rate or clip_norm, and train into a new "
            "directory."
        )


def restore(model: keras.Model, directory: Path) -> int:
    """Restores a compiled model from its checkpoint; returns the number of steps done."""
    path = directory / CHECKPOINT_NAME
    if not path.is_file():
        return 0
    model.optimizer.build(model.trainable_variables)
    variables = _variables(model)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    try:
        arrays = load_npz(path, {"steps": (), **shapes}, "biuf")
        steps_done = check_integer("steps", arrays["steps"][()], at_least=0)
    except ValueError as error:
        raise ValueError(
            f"The checkpoint {str(path)!r} is damaged or belongs to another model: "
            f"{error}. Train into another directory."
        ) from error
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return steps_done


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    # The variables' names may differ from run to run; their order does not.
    variables = [*model.variables, *model.optimizer.variables]
    return {f"variable_{i}": variable for i, variable in enumerate(variables)}


class Log(keras.callbacks.Callback):
    """Adds a line to a CSV file after each epoch; drops lines after ``steps_done``."""

    def __init__(self, directory: Path, steps_per_epoch: int, steps_done: int) -> None:
        super().__init__()
        self.path = directory / LOG_NAME
        self.steps_per_epoch = steps_per_epoch
        if self.path.is_file():
            header, *rows = self.path.read_text("utf-8").splitlines(keepends=True) or [""]
            kept = [row for row in rows if self._step(row) <= steps_done]
            with replacing(self.path) as path:
                path.write_text("".join([header, *kept]), "utf-8")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = {name: float(value) for name, value in sorted((logs or {}).items())}
        row = {"step": (epoch + 1) * self.steps_per_epoch, **values}
        with self.path.open("a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(",".join(row) + "\n")
            file.write(",".join(map(str, row.values())) + "\n")

    def _step(self, row: str) -> int:
        try:
            return int(row.split(",")[0])
        except ValueError as error:
            raise ValueError(
                f"{str(self.path)!r} is not a training log, or is damaged: it has a line "
                "without a step. Remove the line, or train into another directory."
            ) from error
