"""The cache of downloads: a folder for each address. Nothing here needs the network."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from platformdirs import user_cache_dir

from keras_elmo.errors import SourceError
from keras_elmo.weights.named_models import NamedModel
from keras_elmo.weights.names import matching_options_name

CACHE_VARIABLE = "KERAS_ELMO_CACHE"
"""The environment variable with the cache directory."""


def cache_directory() -> Path:
    """``$KERAS_ELMO_CACHE``, or a directory in the user's cache directory."""
    path = Path(os.environ.get(CACHE_VARIABLE) or user_cache_dir("keras-elmo"))
    return path.expanduser()


def cache_folder(address: str) -> Path:
    """The folder of a URL or handle in the cache; raises SourceError if it is a link."""
    folder = cache_directory() / hashlib.sha256(address.encode()).hexdigest()[:16]
    if folder.is_symlink():
        raise SourceError(f"source {address!r}: {str(folder)!r} is a link. Delete it.")
    return folder


def forget(address: str) -> bool:
    """Removes what was downloaded from an address; returns whether anything was."""
    folder = cache_folder(address)
    is_there = folder.is_dir()
    shutil.rmtree(folder, ignore_errors=True)
    return is_there and not folder.exists()


def is_cached(model: NamedModel) -> bool:
    """Whether ``download_named_model`` would need no network for a model."""
    if model.weights_url is None:
        return True
    folder, name = cache_folder(model.weights_url), file_name(model.weights_url)
    options = folder / matching_options_name(name)
    return is_whole(folder / name, model.size) and is_whole(options, None)


def split_url(url: str) -> SplitResult:
    """The parts of an http(s) URL; raises a SourceError for anything else."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    except ValueError:  # for example, brackets that do not close
        pass
    raise SourceError(f"source {url!r}: expected an http(s) URL, with a host.")


def file_name(url: str) -> str:
    name = posixpath.basename(split_url(url).path)
    if name in ("", ".", ".."):
        raise SourceError(f"source {url!r}: the URL does not end in the name of a file.")
    return name


def is_whole(path: Path, size: int | None, sha256: str | None = None) -> bool:
    """Whether a cached file is complete."""
    found = path.stat().st_size if path.is_file() else 0
    if found == 0 or found != (size or found):
        return False
    # HDF5 has no checksum of its own: a change on the disk would go unnoticed.
    if sha256 is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256.lower()
