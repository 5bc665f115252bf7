"""Loads all sources: TF1 Hub modules, and the formats of weights/."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.hub.tf_hub import is_tf_hub_module, read_tf_hub
from keras_elmo.types import PathLike
from keras_elmo.weights import sources
from keras_elmo.weights.locate import read_located
from keras_elmo.weights.sources import Model


def load_path(
    path: Path, name: str | None = None
) -> tuple[ElmoConfig, dict[str, NDArray[np.float32]]]:
    """:func:`keras_elmo.weights.sources.load_path`, also for TF1 Hub modules."""
    return (read_tf_hub if is_tf_hub_module(path) else sources.load_path)(path, name)


def load_source(
    source: PathLike, check: Callable[[Model], object] = lambda model: None
) -> Model:
    """Finds, reads and checks a model; a damaged download is repeated once."""

    def read(path: Path) -> Model:
        model = Model(*load_path(path, os.fspath(source)), path)
        check(model)
        return model

    return read_located(source, read)
