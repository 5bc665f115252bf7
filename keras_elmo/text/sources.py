"""Converts lists, arrays, columns of tables and tensors to lists of texts or paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
                    f"{value!r:.100}. Pass files or texts, not both."
                )
        return [Path(value) for value in values]
    for i, value in enumerate(values):
        if is_missing(value):
            raise ValueError(
                f"{name}[{i}] is missing ({value!r}). Remove it, and its label, or replace "
                "it with an empty string."
            )
        if not isinstance(value, (str, bytes)):
            raise TypeError(
                f"{name}[{i}] must be a string; got {value!r:.100} of type "
                f"{type(value).__name__}. Convert numbers to strings, and join tokens with "
                "spaces."
            )
    return values


def _listed(source: Any, name: str) -> list[Any]:
    if isinstance(source, (str, bytes)):
        raise TypeError(
            f"{name} must be {_EXPECTED}; got the single text {source!r:.100}. Put it into "
            "a list; to name a file, make it a pathlib.Path."
        )
    items = items_of(source)
    if items is None:
        raise TypeError(f"{name} must be {_EXPECTED}; got {described(source)}.")
    if isinstance(source, (list, tuple)):
        return items
    rows = [item for item in items if isinstance(item, np.ndarray)]
    if any(row.shape != (1,) for row in rows):
        raise ValueError(
            f"{name} must be {_EXPECTED}; got shape {(len(rows), *rows[0].shape)}. Pass "
            "one string per text, with its tokens joined by spaces."
        )
    return [row[0] for row in rows] if rows else items


def items_of(source: Any) -> list[Any] | None:
    """The items of a list, tuple, array, tensor or column of a table; otherwise ``None``.

    Iterating over other objects can give unexpected items: the names of a table's columns,
    the keys of a dict, the strings of a set in any order.
    """
    if isinstance(source, (list, tuple)):
        return list(source)
    # Columns of tables, then tensors, then arrays.
    convert = getattr(source, "to_numpy", None) or getattr(source, "numpy", None)
    if hasattr(source, "columns") or not (convert or hasattr(source, "__array__")):
        return None
    array = np.asarray(convert() if convert else source, dtype=object)
    return list(array) if array.ndim else None


def described(source: Any) -> str:
    """Describes a value that :func:`items_of` does not accept, with advice."""
    kind, is_table = type(source).__name__, hasattr(source, "columns")
    for name in (
        source.columns if is_table else source if isinstance(source, Mapping) else ()
    ):
        part = f"{'frame' if is_table else 'texts'}[{name!r:.50}]"
        return f"a {kind}. Pass the texts in it, such as {part}"
    return f"{source!r:.100} of type {kind}. Convert it to a list"


def utf8(value: Any, expected: str) -> bytes:
    """A string in UTF-8; the error for anything else starts with ``expected``."""
    if isinstance(value, str):
        # Lone surrogates have no UTF-8 form; AllenNLP drops them, TensorFlow raises.
        return value.encode("utf-8", "ignore")
    if isinstance(value, bytes):
        return bytes(value)  # NumPy has a type of its own
    raise TypeError(
        f"{expected} got {value!r:.100} of type {type(value).__name__}. Replace missing "
        "values, for example with '', and turn numbers into strings."
    )


def is_missing(value: Any) -> bool:
    """Whether ``value`` is None, NaN, or a missing value of pandas."""
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in _MISSING_TYPES
