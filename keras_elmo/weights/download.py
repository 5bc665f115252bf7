"""Models from the web: downloaded once into a cache, by pooch.

A file is checked before it is moved into the cache: its size and SHA-256 where they are
known, and otherwise that an archive unpacks, that HDF5 opens it, that it is JSON. Every
download goes to a temporary file of its own and is moved into place in one step, so that
several processes can ask at once and nothing half-written is ever in the cache.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import posixpath
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import h5py
import pooch
import requests

from keras_elmo.errors import SourceError
from keras_elmo.weights.archive import check_gzip, check_zip
from keras_elmo.weights.named_models import NamedModel
from keras_elmo.weights.names import WEIGHTS_NAME, matching_options_name

CACHE_VARIABLE = "KERAS_ELMO_CACHE"

_TIMEOUT = 30  # seconds without a byte
_RETRIES = 3  # pooch waits 1, 2 and 3 seconds before them
_CHUNK = 1 << 18  # bytes at a time; pooch's own 1024 take a system call each

_HDF5_SUFFIXES = (".hdf5", ".h5")
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
    parts = _split(url)
    name = posixpath.basename(parts.path)
    if name.lower().endswith(_ARCHIVE_SUFFIXES):
        return download(url)
    if not name.lower().endswith(_HDF5_SUFFIXES):
        raise SourceError(
            f"source {url!r}: its path ends in none of "
            f"{', '.join(_ARCHIVE_SUFFIXES + _HDF5_SUFFIXES)}. Name the URL of such a "
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
        if not _is_whole(path, model.size, model.sha256):
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
    return _is_whole(folder / name, model.size) and _is_whole(
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
    _fetch(options_url, folder, matching_options_name(name))
    return _fetch(weights_url, folder, name, sha256, size)


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
    return _fetch(url, _folder(url), name or _file_name(url), sha256, size)


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


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    except ValueError:  # such as brackets that do not close
        pass
    raise SourceError(f"source {url!r}: expected an http(s) URL, with a host.")


def _file_name(url: str) -> str:
    name = posixpath.basename(_split(url).path)
    if name in ("", ".", ".."):
        raise SourceError(f"source {url!r}: the URL does not end in the name of a file.")
    return name


def _folder(url: str) -> Path:
    """One folder for each URL, so that equal file names do not meet."""
    return cache_directory() / hashlib.sha256(url.encode()).hexdigest()[:16]


def _fetch(
    url: str,
    folder: Path,
    name: str,
    sha256: str | None = None,
    size: int | None = None,
) -> Path:
    _split(url)
    path = folder / name
    files = pooch.Pooch(
        folder, "", registry={name: sha256}, urls={name: url}, retry_if_failed=_RETRIES
    )
    try:
        if _is_whole(path, size, sha256):
            return path
        path.unlink(missing_ok=True)  # pooch would keep it if no SHA-256 is known
        return Path(files.fetch(name, downloader=_checking_downloader(name, sha256, size)))
    # pooch tells of a wrong SHA-256 by a ValueError; RequestException is an OSError.
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            if _is_whole(path, size, sha256):  # another process had more luck
                return path
        raise SourceError(
            f"Cannot download {url!r} into {str(folder)!r} ({error}). {_advice(error)}"
        ) from error


def _is_whole(path: Path, size: int | None, sha256: str | None = None) -> bool:
    """Whether a file of the cache can be used without asking the network.

    HDF5 has no checksum of its own, so that a change on the disk would go unnoticed.
    """
    if not path.is_file():
        return False
    found = path.stat().st_size
    if found == 0 if size is None else found != size:
        return False
    return sha256 is None or _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checking_downloader(
    name: str, sha256: str | None, size: int | None
) -> Callable[[str, str, object], None]:
    """What pooch calls, again after a ValueError or a failed request, for a file."""
    http = pooch.HTTPDownloader(
        progressbar=True,
        chunk_size=_CHUNK,
        timeout=_TIMEOUT,
        hooks={"response": _refuse_final_answers},
    )

    def download_and_check(url: str, file: str, _: object) -> None:
        # Only its owner can read pooch's temporary file. A new one has the usual
        # permissions, which a cache that several users share needs.
        Path(file).unlink()
        http(url, file, None)
        found = Path(file).stat().st_size
        if size is not None and found != size:
            raise ValueError(f"expected {size:,} bytes, found {found:,}")
        if sha256 is None:  # otherwise pooch compares it, which leaves nothing to check
            _check_content(Path(file), name)

    return download_and_check


def _refuse_final_answers(response: requests.Response, **_: object) -> None:
    """Ends a download that another try would not help: a 404, or part of a file."""
    status = response.status_code
    may_pass = status >= 500 or status in (408, 429)
    if status == 200 or response.is_redirect or may_pass:
        return
    response.close()
    raise OSError(f"the server answers {status} {response.reason}")


def _check_content(path: Path, name: str) -> None:
    """Raises ValueError if a file is not whole, as far as its kind lets one see that.

    An error page instead of the file is found in every kind, a cut in every kind, a
    changed byte in archives: HDF5 and JSON have no checksum.
    """
    lower = name.lower()
    if lower.endswith(".zip"):
        check_zip(path)
    elif lower.endswith((".tar.gz", ".tgz")):
        check_gzip(path)
    elif lower.endswith(_HDF5_SUFFIXES):
        try:
            h5py.File(path, "r").close()
        except OSError as error:
            raise ValueError(f"what came is not a whole HDF5 file: {error}") from error
    elif lower.endswith(".json"):
        try:
            json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"what came is not JSON: {error}") from error
    elif path.stat().st_size == 0:
        raise ValueError("what came is empty")


def _advice(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"Free some space, or let {CACHE_VARIABLE} name a directory that has it."
        # pooch's own PermissionError has no number.
        if error.errno is not None or isinstance(error, PermissionError):
            return f"Let {CACHE_VARIABLE} name a directory that can be written."
    return (
        "Check the address and the network, or try another network; or download the file "
        f"elsewhere and name its path as source. {CACHE_VARIABLE} sets another cache "
        "directory."
    )
