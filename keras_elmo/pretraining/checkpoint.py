"""Keeping what is needed to go on after an interruption."""

from __future__ import annotations

import csv
import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_elmo.weights.archive import DAMAGED
from keras_elmo.weights.numpy_files import read_member

CHECKPOINT_NAME = "checkpoint.npz"
LOG_NAME = "log.csv"


class Checkpoint(keras.callbacks.Callback):
    """Keeps the model after each epoch of ``fit``: a file that is replaced as a whole.

    It holds the number of steps, the weights, the optimizer, the carried state and, which
    Keras' own format leaves out, the states of the random numbers.

    Args:
        directory: Where to.
        steps_per_epoch: How many steps an epoch has.
    """

    def __init__(self, directory: Path, steps_per_epoch: int) -> None:
        super().__init__()
        self.path = directory / CHECKPOINT_NAME
        self.steps_per_epoch = steps_per_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the file."""
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        values = [ops.convert_to_numpy(variable) for variable in _variables(self.model)]
        try:
            with temporary.open("wb") as file:
                np.savez(file, (epoch + 1) * self.steps_per_epoch, *values)
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)


def restore(model: keras.Model, directory: Path) -> int:
    """Goes back to where the last checkpoint was taken.

    Args:
        model: A compiled model of the same configuration.
        directory: Where the checkpoint may be.

    Returns:
        How many steps were done; 0 if there is no checkpoint.

    Raises:
        ValueError: The checkpoint cannot be read, or is of another model.
    """
    path = directory / CHECKPOINT_NAME
    if not path.is_file():
        return 0
    model.optimizer.build(model.trainable_variables)
    variables = _variables(model)
    try:
        with zipfile.ZipFile(path) as file:
            names = [f"arr_{i}" for i in range(1 + len(variables))]
            if sorted(file.namelist()) != sorted(f"{name}.npy" for name in names):
                raise ValueError(f"The checkpoint {str(path)!r} is of another model.")
            steps_done = int(read_member(file, names[0], (), "iu"))
            values = [
                read_member(file, name, tuple(variable.shape), "biuf")
                for name, variable in zip(names[1:], variables, strict=True)
            ]
    except (*DAMAGED, LookupError) as error:
        raise ValueError(
            f"Cannot read the checkpoint {str(path)!r}: {error!s:.500}"
        ) from error
    if steps_done < 0:
        raise ValueError(
            f"The checkpoint {str(path)!r} was taken after {steps_done} steps."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return steps_done


def _variables(model: keras.Model) -> list[keras.Variable]:
    # Their names count instances and may differ from run to run; their order does not.
    return [*model.variables, *model.optimizer.variables]


class StopAtNaN(keras.callbacks.Callback):
    """Ends the training with an error before a broken model replaces a good checkpoint."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the loss.

        Raises:
            FloatingPointError: It is not a number, or infinite.
        """
        loss = float((logs or {}).get("loss", 0.0))
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {loss} in step {batch + 1} after the last checkpoint. "
                "Lower learning_rate or clip_norm, and train into a new directory."
            )


class Log(keras.callbacks.Callback):
    """Writes a line of a CSV file after each epoch of ``fit``.

    Args:
        directory: Where to.
        steps_per_epoch: How many steps an epoch has.
        steps_done: Lines of later steps are removed: they will come again.
    """

    def __init__(self, directory: Path, steps_per_epoch: int, steps_done: int) -> None:
        super().__init__()
        self.path = directory / LOG_NAME
        self.steps_per_epoch = steps_per_epoch
        rows = self._rows()
        if rows:
            kept = [row for row in rows if self._step(row) <= steps_done]
            self._write(list(rows[0]), kept, "w")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the step, the loss and the perplexities."""
        values = {name: float(value) for name, value in sorted((logs or {}).items())}
        row = {"step": (epoch + 1) * self.steps_per_epoch, **values}
        self._write(list(row), [row], "a")

    def _step(self, row: dict[str, Any]) -> int:
        try:
            return int(row["step"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{str(self.path)!r} is no log of a training, or damaged: it has a line "
                "without a step. Remove the line, or train into another directory."
            ) from error

    def _rows(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _write(self, fields: list[str], rows: list[dict[str, Any]], mode: str) -> None:
        is_new = mode == "w" or not self.path.is_file()
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields)
            if is_new:
                writer.writeheader()
            writer.writerows(rows)
