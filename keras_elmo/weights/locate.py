"""From what a user names to a local file or directory."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.hub.handles import forget_handle, resolve_handle
from keras_elmo.types import PathLike
from keras_elmo.weights.archive import most_unpacked_bytes
from keras_elmo.weights.download import (
    cache_directory,
    download_named_model,
    download_source,
    forget,
)
from keras_elmo.weights.named_models import MODELS
from keras_elmo.weights.tar_archive import unpack_tar

_TAR_SUFFIXES = (".tar.gz", ".tgz")
_FILE_SUFFIXES = (".hdf5", ".h5", ".zip", *_TAR_SUFFIXES)

WHAT_TO_DO = (
    "A source is the name of a model, a directory or a .zip archive with options.json (or "
    "*_options.json) and one .hdf5 file, the path of that .hdf5 file, the directory or "
    ".tar.gz archive of a TF1 Hub module, the URL of such a file, a handle on TF-Hub or "
    "Kaggle, or an ElmoConfig for random weights."
)

T = TypeVar("T")


def read_located(source: PathLike, read: Callable[[Path], T]) -> T:
    """Finds a source and reads it; what was downloaded and is damaged, once more.

    Args:
        source: What :func:`locate_source` takes.
        read: Reads a local file or directory.

    Returns:
        What ``read`` returns.

    Raises:
        SourceError: The source cannot be found, or what ``read`` raises.
        TypeError: ``source`` is not a name, path or URL.
    """
    path = None
    try:
        path = locate_source(source)
        return read(path)
    except DamagedSourceError as error:
        # A file of the user's stays as it is.
        if not _forget(source, path or error.path):
            raise
        return read(locate_source(source))


def _forget(source: PathLike, path: Path | None) -> bool:
    """Removes what was downloaded for a source; says whether anything was."""
    name = os.fspath(source)
    is_remote = "://" in name or (name in MODELS and not MODELS[name].embedded_path)
    if path is None or not is_remote:
        return False
    if path.is_file():
        forget(path)
    elif _is_file_url(name):
        return False  # an archive that came whole: another download would be the same
    else:
        forget_handle(path)
    return True


def locate_source(source: PathLike) -> Path:
    """Finds a source, and downloads or unpacks it if need be.

    Args:
        source: The name of a model (see :func:`keras_elmo.list_models`); a directory, a
            ``.zip`` archive or an HDF5 file with its options beside it; the directory or
            ``.tar.gz`` archive of a TF1 Hub module; the URL of such a file; or the handle
            of a module on TF-Hub or Kaggle.

    Returns:
        A local directory, ``.zip`` archive or HDF5 file.

    Raises:
        SourceError: It cannot be found.
        TypeError: ``source`` is not a name, path or URL.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source must be a name, a path, a URL or an ElmoConfig; got {source!r:.200}."
        )
    name = os.fspath(source)
    if not isinstance(name, str):
        raise TypeError(f"source must be a path of type str; got {name!r:.200}.")
    if name in MODELS:
        return download_named_model(MODELS[name])
    if "://" in name:
        path = download_source(name) if _is_file_url(name) else resolve_handle(name)
    else:
        path = _expanded(name)
        if not _exists(path):
            raise SourceError(
                f"source {name!r}: there is no file or directory {str(path.absolute())!r}, "
                f"and no model of that name (there are {', '.join(MODELS)}). " + WHAT_TO_DO
            )
    is_archive = path.is_file() and path.name.lower().endswith(_TAR_SUFFIXES)
    return _unpacked(path) if is_archive else path


def _expanded(name: str) -> Path:
    if not name:
        # An empty path would be the current directory.
        raise SourceError("source '': the name is empty. " + WHAT_TO_DO)
    try:
        return Path(name).expanduser()
    except RuntimeError:  # there is no such user
        return Path(name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or has a NUL in it
        return False


def _is_file_url(url: str) -> bool:
    """Whether a URL names a file; others are handles of modules."""
    return re.split("[?#]", url, maxsplit=1)[0].lower().endswith(_FILE_SUFFIXES)


def _unpacked(archive: Path) -> Path:
    """The directory of a ``.tar.gz`` archive's content, kept in the cache."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = cache_directory() / "unpacked" / digest[:16]
    if not target.is_dir():
        unpack_tar(archive, target, most_unpacked_bytes(archive))
    entries = list(target.iterdir())
    # Some archives hold a directory, others its content.
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else target
