"""Models from the web, kept in a cache with a folder for each address.

A file is checked, then moved into place in one step: several processes can ask at once.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import posixpath
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import h5py
import pooch
import requests

from keras_elmo.errors import SourceError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.weights.archive import MOST_BYTES
from keras_elmo.weights.named_models import NamedModel
from keras_elmo.weights.names import WEIGHTS_NAME, matching_options_name
from keras_elmo.weights.tar_archive import check_gzip
from keras_elmo.weights.zip_archive import check_zip

CACHE_VARIABLE = "KERAS_ELMO_CACHE"
"""Names the directory in which downloads are kept."""

HDF5_SUFFIXES = (".hdf5", ".h5")
TAR_SUFFIXES = (".tar.gz", ".tgz")
SOURCE_SUFFIXES = (".zip", *TAR_SUFFIXES, *HDF5_SUFFIXES)
"""What the URLs of files end in; those of handles do not."""

_TIMEOUT = 30  # seconds without a byte
_RETRIES = 3  # pooch waits 1, 2 and 3 seconds before them
_CHUNK = 1 << 18  # bytes at a time; pooch's own 1024 take a system call each
_LARGEST_JSON = 1 << 20  # bytes

_CHECKS: dict[tuple[str, ...], Callable[[Path], object]] = {
    (".zip",): check_zip,
    TAR_SUFFIXES: check_gzip,
    HDF5_SUFFIXES: lambda path: h5py.File(path, "r").close(),
    (".json",): lambda path: parse_json(path.read_bytes()),
}


def cache_directory() -> Path:
    """Where downloads are kept: ``$KERAS_ELMO_CACHE``, or the user's cache directory."""
    path = Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("keras-elmo"))
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


def download_source(url: str) -> Path:
    """Downloads the archive or HDF5 file at a URL, unless the cache has it.

    The options of an HDF5 file, ``x_options.json`` for ``x_weights.hdf5`` or
    ``options.json``, are fetched from next to it.
    """
    parts = split_url(url)
    name = posixpath.basename(parts.path)
    if not name.lower().endswith(HDF5_SUFFIXES):
        return download(url)
    options = posixpath.join(posixpath.dirname(parts.path), matching_options_name(name))
    return _download_pair(url, parts._replace(path=options).geturl())


def download_named_model(model: NamedModel) -> Path:
    """The path of a released model's HDF5 file, with its options next to it."""
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
    folder, name = cache_folder(model.weights_url), _file_name(model.weights_url)
    options = folder / matching_options_name(name)
    return _is_whole(folder / name, model.size) and _is_whole(options, None)


def _download_pair(
    url: str, options_url: str, sha256: str | None = None, size: int | None = None
) -> Path:
    # First the small file: if it is not there, the large one need not be fetched.
    download(options_url, name=matching_options_name(_file_name(url)), address=url)
    return download(url, sha256=sha256, size=size)


def download(
    url: str,
    *,
    sha256: str | None = None,
    size: int | None = None,
    name: str | None = None,
    address: str | None = None,
) -> Path:
    """Downloads a file into the folder of ``address``, or of its URL, unless it is there.

    It is compared with ``sha256`` and ``size`` if they are known; without ``sha256`` it is
    checked as the suffix of ``name``, by default the URL's, says.
    """
    split_url(url)
    name = name or _file_name(url)
    folder = cache_folder(address or url)
    path = folder / name
    files = pooch.Pooch(
        folder, "", registry={name: sha256}, urls={name: url}, retry_if_failed=_RETRIES
    )
    try:
        if _is_whole(path, size, sha256):
            return path
        path.unlink(missing_ok=True)  # pooch would keep it if no SHA-256 is known
        return Path(files.fetch(name, downloader=_downloader(name, sha256, size)))
    # pooch reports a wrong SHA-256 as a ValueError; RequestException is an OSError.
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            if _is_whole(path, size, sha256):  # another process had more luck
                return path
        raise SourceError(
            f"Cannot download {url!r} into {str(folder)!r} ({error}). {_advice(error)}"
        ) from error


def split_url(url: str) -> SplitResult:
    """The parts of an http(s) URL; raises a SourceError for anything else."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    except ValueError:  # such as brackets that do not close
        pass
    raise SourceError(f"source {url!r}: expected an http(s) URL, with a host.")


def _file_name(url: str) -> str:
    name = posixpath.basename(split_url(url).path)
    if name in ("", ".", ".."):
        raise SourceError(f"source {url!r}: the URL does not end in the name of a file.")
    return name


def _is_whole(path: Path, size: int | None, sha256: str | None = None) -> bool:
    """Whether a file of the cache can be used without asking the network."""
    found = path.stat().st_size if path.is_file() else 0
    if found == 0 or found != (size or found):
        return False
    # HDF5 has no checksum of its own: a change on the disk would go unnoticed.
    return sha256 is None or pooch.file_hash(str(path)) == sha256.lower()


def _downloader(
    name: str, sha256: str | None, size: int | None
) -> Callable[[str, str, object], None]:
    """What pooch calls, again after a ValueError or a failed request, for a file."""
    largest = _LARGEST_JSON if name.lower().endswith(".json") else MOST_BYTES
    max_bytes = size or largest
    http = pooch.HTTPDownloader(
        progressbar=True,
        chunk_size=_CHUNK,
        timeout=_TIMEOUT,
        headers={"Accept-Encoding": "identity"},
        hooks={"response": partial(_check_answer, max_bytes)},
    )

    def download_and_check(url: str, file: str, _: object) -> None:
        # Only its owner can read pooch's temporary file. A new one has the usual
        # permissions, which a cache that several users share needs.
        Path(file).unlink()
        with _BoundedFile(file, max_bytes) as target:
            http(url, target, None)
        found = Path(file).stat().st_size
        if size is not None and found != size:
            raise ValueError(f"expected {size:,} bytes, found {found:,}")
        if sha256 is None:  # otherwise pooch compares it, which leaves nothing to check
            _check_content(Path(file), name)

    return download_and_check


def _check_answer(max_bytes: int, response: requests.Response, **_: object) -> None:
    """Ends a download that another try would not help: a 404, part of a file, too much."""
    status, length = response.status_code, response.headers.get("Content-Length", "")
    encoding = response.headers.get("Content-Encoding", "identity")
    if status >= 500 or status in (408, 429):
        return
    if response.is_redirect:
        response.close()  # requests would read all that comes with it
        return
    if status != 200:
        problem = f"the server answers {status} {response.reason}"
    elif encoding != "identity":
        problem = f"the server answers in the encoding {encoding!r:.100}"
    elif length.isdigit() and int(length) > max_bytes:
        problem = f"{length:.30} bytes would come, where at most {max_bytes:,} are expected"
    else:
        return
    response.close()
    raise OSError(problem)


class _BoundedFile(io.BufferedWriter):
    """A new file that does not grow beyond a size."""

    def __init__(self, path: str, max_bytes: int) -> None:
        super().__init__(io.FileIO(path, "x"))
        self.left = max_bytes

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.left -= len(data)
        if self.left < 0:
            raise OSError("more bytes come than are expected")
        return super().write(data)


def _check_content(path: Path, name: str) -> None:
    """Raises ValueError if a file is not whole, as far as its kind lets one see that.

    A changed byte is found in archives only: HDF5 and JSON have no checksum.
    """
    if path.stat().st_size == 0:
        raise ValueError("what came is empty")
    for suffixes, check in _CHECKS.items():
        if name.lower().endswith(suffixes):
            try:
                check(path)
            except (OSError, ValueError) as error:
                kind = " or ".join(suffixes)
                raise ValueError(
                    f"what came is not a whole {kind} file: {error.__cause__ or error}"
                ) from error


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
