"""Reads and writes ``.npz`` files with arrays of known names and shapes."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.weights.archive import DAMAGED
from keras_elmo.weights.atomic import replacing
from keras_elmo.weights.numpy_files import read_member


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with replacing(path) as written:
        np.savez(written, **arrays)  # type: ignore[arg-type]  # no array is named allow_pickle


def load_npz(
    path: Path, shapes: Mapping[str, tuple[int, ...]], kinds: str
) -> dict[str, NDArray[Any]]:
    """Reads arrays; raises ValueError unless names, shapes and kinds are as expected."""
    try:
        with zipfile.ZipFile(path) as file:
            names = [name.removesuffix(".npy") for name in file.namelist()]
            if sorted(names) != sorted(shapes):
                raise ValueError(
                    f"it holds {len(names)} arrays; expected {len(shapes)} other ones"
                )
            return {name: read_member(file, name, shapes[name], kinds) for name in shapes}
    except (*DAMAGED, LookupError) as error:
        raise ValueError(f"{error!s:.500}") from error
