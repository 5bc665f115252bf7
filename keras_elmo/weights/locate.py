"""Finds the local file or directory of a source."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.types import PathLike
from keras_elmo.weights.archive import LARGEST_DEPTH, most_unpacked_bytes
from keras_elmo.weights.cache import cache_directory, forget
from keras_elmo.weights.download import (
    SOURCE_SUFFIXES,
    TAR_SUFFIXES,
    download,
    download_named_model,
    download_source,
)
from keras_elmo.weights.handles import resolve_handle
from keras_elmo.weights.named_models import MODELS, address_of, near_names
from keras_elmo.weights.tar_archive import unpack_tar

WHAT_TO_DO = (
    "A source is the name of a model or its number at NLPL ('nlpl:136'), a directory or a "
    ".zip archive with options.json (or *_options.json) and one .hdf5 file, the path of "
    "that .hdf5 file, the directory or .zip archive of ELMoForManyLangs, the directory or "
    ".tar.gz archive of a TF1 Hub module, the directory or .index file of a checkpoint of "
    "bilm-tf, the URL of such a file, a handle on TF-Hub or Kaggle, or an ElmoConfig for "
    "random weights."
)

T = TypeVar("T")


def read_located(
    source: PathLike, read: Callable[[Path], T], has_options: bool = False
) -> T:
    """Finds a source and reads it; if a download is damaged, downloads it again.

    With ``has_options`` the source is an HDF5 file whose options are somewhere else.
    """
    try:
        return read(locate_source(source, has_options))
    except DamagedSourceError:
        address = remote_address(os.fspath(source))
        if address is None or not forget(address):  # the user's own file is kept
            raise
    return read(locate_source(source, has_options))


def locate_options(options: PathLike) -> Path:
    """The file of explicit options, downloaded if it is a URL."""
    if not isinstance(options, str | os.PathLike):
        raise TypeError(f"options must be a path or a URL; got {options!r:.200}.")
    name = os.fspath(options)
    if is_url(name):
        return download(name)
    path = Path(name).expanduser()
    if not path.is_file():
        raise SourceError(
            f"options {name!r}: there is no file {str(path.absolute())!r}. Name the "
            "options.json that belongs to the weights."
        )
    return path


def locate_source(source: PathLike, has_options: bool = False) -> Path:
    """The directory, ``.zip`` archive or HDF5 file of a source, downloaded or unpacked."""
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            f"source must be a name, a path, a URL or an ElmoConfig; got {source!r:.200}."
        )
    name = os.fspath(source)
    if not isinstance(name, str):
        raise TypeError(f"source must be a path of type str; got {name!r:.200}.")
    name = address_of(name)
    if name in MODELS:
        return download_named_model(MODELS[name])
    if is_url(name):
        file_name = re.split("[?#]", name, maxsplit=1)[0].lower()
        is_file = file_name.endswith(SOURCE_SUFFIXES)
        find = download_source if is_file else resolve_handle
        path = download(name) if has_options else find(name)
        target = path.parent / "unpacked"
    else:
        path = _local(name)
        target = cache_directory() / "unpacked"
    if not path.name.lower().endswith(TAR_SUFFIXES) or path.is_dir():
        return _inside(path)
    if not is_url(name):
        with path.open("rb") as file:
            target /= hashlib.file_digest(file, "sha256").hexdigest()[:16]
    unpack_tar(path, target, most_unpacked_bytes(path.stat().st_size))
    return _inside(target)


def _inside(path: Path) -> Path:
    """The directory that is all there is in a directory, as in many archives."""
    for _ in range(LARGEST_DEPTH):
        entries = [*path.iterdir()] if path.is_dir() else []
        # What macOS adds does not count.
        entries = [e for e in entries if e.name != "__MACOSX" and e.name[0] != "."]
        if len(entries) != 1 or not entries[0].is_dir():
            break
        path = entries[0]
    return path


def is_url(name: str) -> bool:
    """Whether a source starts with a scheme: a path may have ``://`` inside it."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name) is not None


def remote_address(name: str) -> str | None:
    """The URL or handle of a source, if it has one."""
    name = address_of(name)
    model = MODELS.get(name)
    return model.weights_url if model else name if is_url(name) else None


def _local(name: str) -> Path:
    """The path of an existing file or directory."""
    if not name:  # an empty path would be the current directory
        raise SourceError("source '': the name is empty. " + WHAT_TO_DO)
    path = Path(name)
    try:
        path = path.expanduser()
        if path.exists():
            return path
        index = path.with_name(f"{path.name}.index")
        if index.is_file():  # the prefix that TensorFlow names a checkpoint by
            return index
    # There is no such user, or the name is too long or has a NUL in it.
    except (RuntimeError, OSError, ValueError):
        pass
    raise SourceError(
        f"source {name!r}: there is no file or directory {str(path.absolute())!r}, and no "
        f"model of that name. {near_names(name)} " + WHAT_TO_DO
    )
