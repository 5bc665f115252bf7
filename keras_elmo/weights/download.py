"""Models from the web: downloaded once into a cache, by pooch."""

from __future__ import annotations

import hashlib
import os
import posixpath
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

from keras_elmo.errors import SourceError
from keras_elmo.weights.sources import matching_options_name

CACHE_VARIABLE = "KERAS_ELMO_CACHE"
_TIMEOUT = 30  # seconds without a byte


def cache_directory() -> Path:
    """Where downloads are kept: ``$KERAS_ELMO_CACHE``, or the user's cache directory."""
    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("keras-elmo"))


def download_source(url: str) -> Path:
    """Downloads a model, unless the cache has it.

    Args:
        url: The http(s) URL of a ``.zip`` archive or of an ``.hdf5`` file, whose options
            are fetched from beside it (``x_options.json`` for ``x_weights.hdf5``,
            ``options.json`` for other names).

    Returns:
        The path of the archive or HDF5 file in the cache.

    Raises:
        SourceError: The URL is of another kind, or the download fails.
    """
    parts = urlsplit(url)
    base = posixpath.basename(parts.path)
    suffix = posixpath.splitext(base)[1].lower()
    if parts.scheme not in ("http", "https") or suffix not in (".zip", ".hdf5"):
        raise SourceError(
            f"source {url!r}: this version of keras-elmo downloads .zip and .hdf5 files "
            "over http(s); it does not read TF-Hub or Kaggle modules. Name such a file, or "
            "a local one."
        )
    # One folder for each URL, so that equal file names do not meet.
    folder = cache_directory() / hashlib.sha256(url.encode()).hexdigest()[:16]
    if suffix == ".hdf5":
        options = matching_options_name(base)
        path = posixpath.join(posixpath.dirname(parts.path), options)
        _fetch(parts._replace(path=path).geturl(), folder, options)
    return _fetch(url, folder, base)


def _fetch(url: str, folder: Path, name: str) -> Path:
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT, progressbar=True)
    try:
        return Path(
            pooch.retrieve(url, None, fname=name, path=folder, downloader=downloader)
        )
    except (requests.RequestException, OSError) as error:
        raise SourceError(
            f"Cannot download {url!r} into {str(folder)!r} ({error}). Check the address "
            "and the network; or download the file elsewhere and name its path as source. "
            f"{CACHE_VARIABLE} sets another cache directory."
        ) from error
