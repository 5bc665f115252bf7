"""Lists, arrays, columns of tables and tensors to lists of texts or of paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

_EXPECTED = (
    "a list, tuple, NumPy array (n,) or (n, 1), pandas or Polars column or tensor of "
    "strings, or text files as pathlib.Path"
)
# Missing values of pandas, which need not be installed.
_MISSING_TYPES = ("NAType", "NaTType")


def source_values(source: Any, name: str) -> list[str | bytes] | list[Path]:
    """The texts of a collection, or the paths of files."""
    is_path = isinstance(source, os.PathLike)
    values: list[Any] = [source] if is_path else _listed(source, name)
    if any(isinstance(value, os.PathLike) for value in values):
        for i, value in enumerate(values):
            if not isinstance(value, os.PathLike):
                raise TypeError(
                    f"{name}[{i}] must be a pathlib.Path like the others; got "
                    f"{value!r:.100}. Give files or texts, not both."
                )
        return [Path(value) for value in values]
    for i, value in enumerate(values):
        if is_missing(value):
            raise ValueError(
                f"{name}[{i}] is missing ({value!r}). Leave it out, with its label, or put "
                "an empty string in its place."
            )
        if not isinstance(value, (str, bytes)):
            raise TypeError(
                f"{name}[{i}] must be a string; got {value!r:.100} of type "
                f"{type(value).__name__}. Turn numbers into strings, and join tokens by "
                "spaces."
            )
    return values


def _listed(source: Any, name: str) -> list[Any]:
    if isinstance(source, (list, tuple)):
        return list(source)
    if isinstance(source, (str, bytes)):
        raise TypeError(
            f"{name} must be {_EXPECTED}; got the single text {source!r:.100}. Put it into "
            "a list; to name a file, make it a pathlib.Path."
        )
    # Columns of tables, then tensors, then arrays.
    convert = getattr(source, "to_numpy", None) or getattr(source, "numpy", None)
    if convert is None and not hasattr(source, "__array__"):
        raise TypeError(
            f"{name} must be {_EXPECTED}; got {source!r:.100} of type "
            f"{type(source).__name__}."
        )
    array = np.asarray(convert() if convert else source, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]  # (n,)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be {_EXPECTED}; got shape {array.shape}. Give one string for "
            "each text, its tokens joined by spaces."
        )
    return list(array)


def is_missing(value: Any) -> bool:
    """Whether ``value`` is None, NaN, or what pandas has for a missing value."""
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in _MISSING_TYPES
