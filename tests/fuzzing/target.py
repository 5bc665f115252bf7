"""A reader, good files for it, how to damage them, and how to judge what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzzing.mutations import Rng

Files = dict[str, bytes]

# What may become of a file: the same as before, other data of the right form, an error.
EQUAL, DATA, ERROR = "equal", "data", "error"


class WrongContentError(Exception):
    """A reader returned what the file cannot stand for."""


class Target:
    """A reader and its files."""

    name: str
    errors: tuple[type[Exception], ...] = (ValueError,)  # that the reader documents

    def make(self, folder: Path) -> None:
        """Writes good files."""
        raise NotImplementedError

    def spoil(self, files: Files, rng: Rng) -> Files:
        """Changes some of them."""
        raise NotImplementedError

    def read(self, folder: Path) -> Any:
        """Reads all that the library reads of them."""
        raise NotImplementedError

    def judge(self, expected: Any, found: Any) -> str:
        """``EQUAL`` or ``DATA``; a ``WrongContentError`` if it is neither."""
        if same(expected, found):
            return EQUAL
        self.check(expected, found)
        return DATA

    def check(self, expected: Any, found: Any) -> None:
        """Raises a ``WrongContentError`` if other data are not of the right form."""


def require(is_right: Any, what: str) -> None:
    if not is_right:
        raise WrongContentError(what)


def same(one: Any, other: Any) -> bool:
    """Whether two trees of arrays are equal bit for bit."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and one.tobytes() == other.tobytes()
    if type(one) is not type(other):
        return False
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def same_form(expected: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether all arrays are there in their shapes and dtypes, and finite."""
    return list(expected) == list(found) and all(
        (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        and np.isfinite(found[name]).all()
        for name, array in expected.items()
    )


def read_files(folder: Path) -> Files:
    """The files of a folder by their relative names."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_files(folder: Path, files: Files) -> None:
    """Writes the files of a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def taken(path: Path) -> bytes:
    """The content of a file, which is removed."""
    content = path.read_bytes()
    path.unlink()
    return content
