"""Texts and labels as users have them: lists, arrays, columns of tables, files."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

_EXPECTED = (
    "a list, tuple, NumPy array (n,) or (n, 1), pandas Series or tensor of strings, or "
    "text files as pathlib.Path"
)
# Of pandas, which need not be installed.
_MISSING_TYPES = ("NAType", "NaTType")

# How much larger than its file what is in a gzip file may be: text has ratios of 3 to 10.
_LARGEST_RATIO = 100
_MUCH = 1 << 28  # bytes


def read_texts(texts: Any, errors: str = "ignore") -> list[bytes]:
    """Brings texts of any kind into one.

    Args:
        texts: A list, tuple, NumPy array (n,) or (n, 1), pandas Series or string tensor
            of ``str`` or ``bytes``; or a ``pathlib.Path``, or several, of text files in
            UTF-8, where each line is a text, empty ones too; those whose names end in
            ``.gz`` are decompressed.
        errors: What is done with that which has no UTF-8 form, as for ``str.encode``: by
            default it is left out, as the layer does.

    Returns:
        The texts in UTF-8.

    Raises:
        TypeError: ``texts``, or one of them, is of another kind.
        ValueError: There are none, or one is missing; the array has another shape; or a
            file cannot be decompressed.
        FileNotFoundError: There is no such file.
    """
    if isinstance(texts, (str, bytes)):
        raise TypeError(
            f"texts must be {_EXPECTED}; got the single text {texts!r:.100}. Put it into a "
            "list; to name a file, make it a pathlib.Path."
        )
    values = [texts] if isinstance(texts, os.PathLike) else _values(texts)
    where = ""
    if any(isinstance(value, os.PathLike) for value in values):
        result = _lines_of_files(values)
        where = f" in {', '.join(repr(str(value)) for value in values):.500}"
    else:
        numbered = enumerate(values)
        result = [_encoded(value, position, errors) for position, value in numbered]
    if not result:
        raise ValueError(f"texts must hold at least one text; got none{where}.")
    return result


def read_labels(labels: Any, n_texts: int) -> NDArray[Any]:
    """Brings labels into an array.

    Args:
        labels: A list, NumPy array, pandas Series or tensor (n, ...) of numbers.
        n_texts: How many there must be.

    Returns:
        An array (n, ...), of the dtype that the labels have.

    Raises:
        TypeError: They are no numbers.
        ValueError: There are more or fewer, or one is missing.
    """
    array = _rectangular(_without_backend(labels))
    if array.ndim == 0 or len(array) != n_texts:
        found = "a single value" if array.ndim == 0 else str(len(array))
        raise ValueError(f"labels must be as many as texts, {n_texts}; got {found}.")
    if array.dtype == object:
        _check_present("labels", [any(map(_is_missing, np.ravel(row))) for row in array])
        array = _rectangular(array.tolist())
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"labels must be numbers; got {array.dtype} such as {array.flat[0]!r:.100}. "
            "Number the classes from 0 on."
        )
    if array.dtype.kind == "f":
        _check_present("labels", np.isnan(array).reshape(n_texts, -1).any(axis=1))
    return array


def _without_backend(labels: Any) -> Any:
    if keras.ops.is_tensor(labels):  # on any device
        return keras.ops.convert_to_numpy(labels)
    return labels.numpy() if hasattr(labels, "numpy") else labels


def _rectangular(labels: Any) -> NDArray[Any]:
    try:
        return np.asarray(labels)
    except ValueError as error:
        raise ValueError(
            "labels must be numbers of shape (n, ...); got rows of different lengths."
        ) from error


def token_counts(
    texts: Sequence[bytes], max_tokens: int | None = None
) -> NDArray[np.int64]:
    """The number of tokens (n,) that the layer finds in each text, up to ``max_tokens``."""
    counts = np.array([len(split_tokens(text)) for text in texts], dtype=np.int64)  # (n,)
    return counts if max_tokens is None else np.minimum(counts, max_tokens)


def first_tokens(text: bytes, max_tokens: int) -> bytes:
    """The first ``max_tokens`` tokens of a text; the text itself if it has no more."""
    tokens = split_tokens(text)
    return text if len(tokens) <= max_tokens else b" ".join(tokens[:max_tokens])


def split_tokens(text: bytes) -> list[bytes]:
    """The tokens of a text: what stands between spaces, as for the layer."""
    return [piece for piece in text.split(b" ") if piece]


def _values(texts: Any) -> list[Any]:
    if isinstance(texts, (list, tuple)):
        return list(texts)
    if hasattr(texts, "numpy"):
        array = np.asarray(texts.numpy(), dtype=object)
    elif hasattr(texts, "__array__"):
        array = np.asarray(texts, dtype=object)
    else:
        raise TypeError(
            f"texts must be {_EXPECTED}; got {texts!r:.100} of type {type(texts).__name__}."
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]  # (n,)
    if array.ndim != 1:
        raise ValueError(
            f"texts must be {_EXPECTED}; got shape {array.shape}. Give one string for each "
            "text, its tokens joined by spaces."
        )
    return list(array)


def _lines_of_files(paths: Sequence[Any]) -> list[bytes]:
    lines: list[bytes] = []
    for position, path in enumerate(paths):
        if not isinstance(path, os.PathLike):
            raise TypeError(
                f"texts: expected a pathlib.Path like the others at position {position}; "
                f"got {path!r:.100}. Give files or texts, not both."
            )
        lines += _lines(Path(path))
    return lines


def _lines(path: Path) -> list[bytes]:
    if not path.is_file():
        raise FileNotFoundError(f"texts: there is no file {str(path)!r}.")
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = _decompressed(data, path)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(
                f"texts: cannot decompress {str(path)!r} ({error}). The file is damaged, "
                "or no gzip file."
            ) from error
    # Only "\n" ends a line; splitlines() would also cut at rarer characters.
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    return [line.removesuffix(b"\r") for line in lines]


def _decompressed(data: bytes, path: Path) -> bytes:
    most = max(_MUCH, _LARGEST_RATIO * len(data))
    with gzip.open(io.BytesIO(data)) as file:
        result = file.read(most + 1)
    if len(result) > most:
        raise ValueError(
            f"texts: {str(path)!r} unpacks from {len(data):,} bytes to more than {most:,}. "
            "No text does; if yours does, decompress the file first."
        )
    return result


def _encoded(value: Any, position: int, errors: str) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", errors)
    if isinstance(value, bytes):
        return bytes(value)
    if _is_missing(value):
        raise ValueError(
            f"texts: the one at position {position} is missing ({value!r}). Leave it out, "
            "with its label, or put an empty string in its place."
        )
    raise TypeError(
        f"texts: expected a string at position {position}; got {value!r:.100} of type "
        f"{type(value).__name__}. Turn numbers into strings, and join tokens by spaces."
    )


def _check_present(name: str, missing: Any) -> None:
    if np.any(missing):
        raise ValueError(
            f"{name}: the one at position {int(np.argmax(missing))} is missing. Leave it "
            "out, with its text."
        )


def _is_missing(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in _MISSING_TYPES
