"""Every source of weights: TF1 Hub modules and their handles, and what weights/ reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.hub.handles import resolve_handle
from keras_elmo.hub.tf_hub import is_tf_hub_module, read_tf_hub
from keras_elmo.types import PathLike
from keras_elmo.weights import locate, sources
from keras_elmo.weights.sources import Model

T = TypeVar("T")


def read_located(source: PathLike, read: Callable[[Path], T]) -> T:
    """:func:`keras_elmo.weights.locate.read_located`, for handles of modules too."""
    return locate.read_located(source, read, resolve_handle)


def load_path(
    path: Path, name: str | None = None
) -> tuple[ElmoConfig, dict[str, NDArray[np.float32]]]:
    """:func:`keras_elmo.weights.sources.load_path`, for the directory of a module too."""
    return (read_tf_hub if is_tf_hub_module(path) else sources.load_path)(path, name)


def load_source(source: PathLike) -> Model:
    """:func:`keras_elmo.weights.sources.load_source`, for modules and their handles too."""
    return read_located(
        source, lambda path: Model(*load_path(path, os.fspath(source)), path)
    )
