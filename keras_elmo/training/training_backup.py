"""What a training needs to go on where it was, kept after each epoch."""

from __future__ import annotations

import contextlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import keras

from keras_elmo import backends
from keras_elmo.types import PathLike

_WEIGHTS = "model.weights.h5"
_HISTORY = "history.json"
_PART = ".part"


class TrainingBackup(keras.callbacks.Callback):
    """Keeps a model and its optimizer after each epoch, for a run that may be killed.

    The program restores before it trains, and tells ``fit`` and the data which epoch
    comes next. Killed at any moment and started again, it ends in the same weights and
    losses as if it had not been. ::

        backup = TrainingBackup("backup")
        epoch = backup.restore(model)  # 0 the first time
        dataset = text_dataset(texts, labels, shuffle=True, seed=0, initial_epoch=epoch)
        model.fit(
            dataset, epochs=9, initial_epoch=epoch, callbacks=[backup], shuffle=False
        )

    Among the workers of ``tf.distribute.MultiWorkerMirroredStrategy`` the first one
    writes, and all restore: ``folder`` has to be one that all of them see. An epoch is
    in a folder of its own, which gets its name when it is complete; the one before is
    then removed. Random numbers drawn by layers, such as ``Dropout``, go on as Keras
    saves them.

    Args:
        folder: Where to; made if it does not exist.

    Attributes:
        history: A list for each of Keras' logs, with a number for each epoch, those before
            the run was restored too.
    """

    def __init__(self, folder: PathLike) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.history: dict[str, list[float]] = {}
        self._is_ours = False

    def restore(self, model: keras.Model) -> int:
        """Goes back to the last epoch that is kept, if there is one.

        Args:
            model: The compiled model, with the layers that were trained.

        Returns:
            How many epochs are done, which is ``initial_epoch`` for ``fit``.

        Raises:
            ValueError: What is kept is of another model, or cannot be read.
        """
        self._is_ours = True
        kept = self._kept()
        if not kept:
            return 0
        number, path = kept[-1]
        scope: Any = contextlib.nullcontext()
        if backends.is_tensorflow():
            scope = model.distribute_strategy.scope()
        try:
            with scope, warnings.catch_warnings():
                # Keras only warns of layers that it finds nothing for.
                warnings.simplefilter("error", UserWarning)
                model.optimizer.build(model.trainable_variables)
                model.load_weights(path / _WEIGHTS)
            self.history = json.loads((path / _HISTORY).read_text("utf-8"))
        except (ValueError, KeyError, OSError, UserWarning) as error:
            raise ValueError(
                f"folder: {str(path)!r} cannot be restored into this model: {error} Build "
                "the model that was trained, or name another folder."
            ) from error
        return number

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Makes sure that nothing is lost that was not restored."""
        if self._kept() and not self._is_ours:
            raise ValueError(
                f"folder: {str(self.folder)!r} holds a training that was not restored. "
                "Call restore(model) before fit, name another folder, or delete it."
            )
        self._is_ours = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the epoch."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        if not _is_chief(self.model):
            return
        before = self._kept()
        path = self.folder / f"epoch_{epoch + 1}"
        part = path.with_name(path.name + _PART)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        self.model.save_weights(part / _WEIGHTS)
        text = json.dumps(self.history, indent=2) + "\n"
        (part / _HISTORY).write_text(text, encoding="utf-8")
        if path.exists():
            shutil.rmtree(path)
        part.replace(path)
        for _, old in before:
            if old != path:
                shutil.rmtree(old)

    def _kept(self) -> list[tuple[int, Path]]:
        """The complete epochs, the last one at the end."""
        found = []
        for path in self.folder.glob("epoch_*"):
            number = path.name.removeprefix("epoch_")
            if number.isdecimal():
                found.append((int(number), path))
        return sorted(found)


def _is_chief(model: keras.Model) -> bool:
    """Whether this process is the one that writes, among those that train a model."""
    if not backends.is_tensorflow():
        return True
    resolver = model.distribute_strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    # Without a task that is named chief, worker 0 is it.
    has_chief = "chief" in resolver.cluster_spec().jobs
    first = resolver.task_type == "worker" and resolver.task_id == 0 and not has_chief
    return bool(resolver.task_type == "chief" or first)
