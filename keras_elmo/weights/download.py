"""Models from the web, kept in a cache with a folder for each URL."""

from __future__ import annotations

import contextlib
import hashlib
import os
import posixpath
from pathlib import Path

import pooch

from keras_elmo.errors import SourceError
from keras_elmo.weights.fetch import (
    CACHE_VARIABLE,
    HDF5_SUFFIXES,
    fetch,
    is_whole,
    split_url,
)
from keras_elmo.weights.named_models import NamedModel
from keras_elmo.weights.names import WEIGHTS_NAME, matching_options_name

_ARCHIVE_SUFFIXES = (".zip", ".tar.gz", ".tgz")


def cache_directory() -> Path:
    """Where downloads are kept: ``$KERAS_ELMO_CACHE``, or the user's cache directory."""
    path = Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("keras-elmo"))
    return path.expanduser()


def download_source(url: str) -> Path:
    """Downloads a model, unless the cache has it.

    Args:
        url: The http(s) URL of a ``.zip``, ``.tar.gz`` or ``.tgz`` archive, or of an
            ``.hdf5`` or ``.h5`` file, whose options are fetched from beside it
            (``x_options.json`` for ``x_weights.hdf5``, ``options.json`` for other names).

    Returns:
        The path of the archive or HDF5 file in the cache.

    Raises:
        SourceError: The URL is of another kind, or the download fails.
    """
    parts = split_url(url)
    name = posixpath.basename(parts.path)
    if name.lower().endswith(_ARCHIVE_SUFFIXES):
        return download(url)
    if not name.lower().endswith(HDF5_SUFFIXES):
        raise SourceError(
            f"source {url!r}: its path ends in none of "
            f"{', '.join(_ARCHIVE_SUFFIXES + HDF5_SUFFIXES)}. Name the URL of such a "
            "file, or download it and name its path."
        )
    options = posixpath.join(posixpath.dirname(parts.path), matching_options_name(name))
    return _download_pair(url, parts._replace(path=options).geturl())


def download_named_model(model: NamedModel) -> Path:
    """Downloads a released model, unless the cache or the package has it.

    Args:
        model: One of :func:`~keras_elmo.list_models`.

    Returns:
        The path of its HDF5 file; its options are beside it, under the name that belongs
        to the HDF5 file's.

    Raises:
        SourceError: The download fails, or the file in the package is damaged.
    """
    if model.embedded_path is not None:
        path = model.embedded_path / WEIGHTS_NAME
        if not is_whole(path, model.size, model.sha256):
            raise SourceError(
                f"source {model.name!r}: {str(path)!r} is not the file that comes with the "
                "package. Install keras-elmo again."
            )
        return path
    assert model.weights_url is not None
    assert model.options_url is not None
    return _download_pair(model.weights_url, model.options_url, model.sha256, model.size)


def is_cached(model: NamedModel) -> bool:
    """Whether :func:`download_named_model` would need no network for a model."""
    if model.weights_url is None:
        return True
    folder, name = _folder(model.weights_url), _file_name(model.weights_url)
    return is_whole(folder / name, model.size) and is_whole(
        folder / matching_options_name(name), None
    )


def _download_pair(
    weights_url: str,
    options_url: str,
    sha256: str | None = None,
    size: int | None = None,
) -> Path:
    name = _file_name(weights_url)
    folder = _folder(weights_url)
    # First the small file: if it is not there, the large one need not be fetched.
    fetch(options_url, folder, matching_options_name(name))
    return fetch(weights_url, folder, name, sha256, size)


def download(
    url: str,
    *,
    sha256: str | None = None,
    size: int | None = None,
    name: str | None = None,
) -> Path:
    """Downloads one file, unless the cache has it.

    Args:
        url: Its http(s) URL.
        sha256: Its SHA-256 in hexadecimal, if known.
        size: How many bytes it has, if known.
        name: What to call it in the cache; by default as the URL does. Its suffix says
            how it is checked if ``sha256`` is not known.

    Returns:
        Its path in the cache, in a folder that belongs to the URL.

    Raises:
        SourceError: It cannot be downloaded or written, or is not the file expected.
    """
    return fetch(url, _folder(url), name or _file_name(url), sha256, size)


def forget(path: Path) -> None:
    """Removes a download that turned out to be damaged, with its options.

    The next call downloads it again. Files that are not downloads are left alone.

    Args:
        path: What one of the download functions returned.
    """
    folder = path.resolve().parent
    if folder.parent != cache_directory().resolve():
        return
    for name in (path.name, matching_options_name(path.name)):
        # A cache that cannot be written is no reason to hide the reader's error.
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def _file_name(url: str) -> str:
    name = posixpath.basename(split_url(url).path)
    if name in ("", ".", ".."):
        raise SourceError(f"source {url!r}: the URL does not end in the name of a file.")
    return name


def _folder(url: str) -> Path:
    """One folder for each URL, so that equal file names do not meet."""
    return cache_directory() / hashlib.sha256(url.encode()).hexdigest()[:16]
