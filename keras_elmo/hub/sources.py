"""Loads all sources: TF1 Hub modules, and the formats of weights/."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.hub.bilm_checkpoint import find_checkpoint, read_bilm_checkpoint
from keras_elmo.hub.tf_hub import is_tf_hub_module, read_tf_hub
from keras_elmo.types import PathLike
from keras_elmo.weights import sources
from keras_elmo.weights.locate import locate_options, read_located
from keras_elmo.weights.sources import Model, has_weights


def load_path(
    path: Path, name: str | None = None, options: Path | None = None
) -> tuple[ElmoConfig, dict[str, NDArray[np.float32]]]:
    """:func:`keras_elmo.weights.sources.load_path`, for modules and checkpoints too."""
    if is_tf_hub_module(path) and options is None:
        return read_tf_hub(path, name)
    if not has_weights(path) and (index := find_checkpoint(path)) is not None:
        return read_bilm_checkpoint(index, name or str(path), options)
    return sources.load_path(path, name, options)


def load_source(
    source: PathLike,
    check: Callable[[Model], object] = lambda model: None,
    options: PathLike | None = None,
) -> Model:
    """Finds, reads and checks a model; a damaged download is repeated once."""
    options_path = None if options is None else locate_options(options)

    def read(path: Path) -> Model:
        model = Model(*load_path(path, os.fspath(source), options_path), path)
        check(model)
        return model

    return read_located(source, read, has_options=options is not None)
