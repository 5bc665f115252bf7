"""Downloads models into a cache with a folder for each address.

Files are checked, then moved into place in one step: several processes can share the cache.
"""

from __future__ import annotations

import contextlib
import errno
import io
import posixpath
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import pooch
import requests

from keras_elmo.errors import SourceError
from keras_elmo.progress import Bar, progress_bar
from keras_elmo.text.strict_json import parse_json
from keras_elmo.weights.archive import MOST_BYTES
from keras_elmo.weights.cache import (
    CACHE_VARIABLE,
    cache_folder,
    file_name,
    is_whole,
    split_url,
)
from keras_elmo.weights.named_models import NamedModel
from keras_elmo.weights.names import WEIGHTS_NAME, matching_options_name
from keras_elmo.weights.tar_archive import check_gzip
from keras_elmo.weights.zip_archive import check_zip

HDF5_SUFFIXES = (".hdf5", ".h5")
TAR_SUFFIXES = (".tar.gz", ".tgz")
SOURCE_SUFFIXES = (".zip", *TAR_SUFFIXES, *HDF5_SUFFIXES)
"""Suffixes of the URLs of files; the URLs of handles have none of them."""

_TIMEOUT = 30  # seconds without a byte
_RETRIES = 3  # after 1, 2 and 3 seconds
_CHUNK = 1 << 18  # bytes; pooch's default of 1024 makes a system call for each
_LARGEST_JSON = 1 << 20  # bytes

_CHECKS: dict[tuple[str, ...], Callable[[Path], object]] = {
    (".zip",): check_zip,
    TAR_SUFFIXES: check_gzip,
    HDF5_SUFFIXES: lambda path: h5py.File(path, "r").close(),
    (".json",): lambda path: parse_json(path.read_bytes()),
}


def download_source(url: str) -> Path:
    """Downloads an archive, or an HDF5 file with the options next to it, unless cached."""
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
        if not is_whole(path, model.size, model.sha256):
            raise SourceError(
                f"source {model.name!r}: {str(path)!r} is not the file that comes with the "
                "package. Install keras-elmo again."
            )
        return path
    assert model.weights_url is not None
    assert model.options_url is not None
    return _download_pair(model.weights_url, model.options_url, model.sha256, model.size)


def _download_pair(
    url: str, options_url: str, sha256: str | None = None, size: int | None = None
) -> Path:
    # The small file first: if it is missing, the large one is not downloaded.
    download(options_url, name=matching_options_name(file_name(url)), address=url)
    return download(url, sha256=sha256, size=size)


def download(
    url: str,
    *,
    sha256: str | None = None,
    size: int | None = None,
    name: str | None = None,
    address: str | None = None,
) -> Path:
    """Downloads a file into the folder of ``address``, by default ``url``, unless cached.

    Without ``sha256``, the suffix of ``name`` determines how the file is checked.
    """
    split_url(url)
    name = name or file_name(url)
    folder = cache_folder(address or url)
    path = folder / name
    files = pooch.Pooch(
        folder, "", registry={name: sha256}, urls={name: url}, retry_if_failed=_RETRIES
    )
    try:
        if is_whole(path, size, sha256):
            return path
        path.unlink(missing_ok=True)  # without a SHA-256 pooch would keep it
        return Path(files.fetch(name, downloader=_downloader(name, sha256, size)))
    # pooch reports a wrong SHA-256 as a ValueError; RequestException is an OSError.
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            if is_whole(path, size, sha256):  # another process downloaded it
                return path
        raise SourceError(
            f"Cannot download {url!r} into {str(folder)!r} ({error}). {_advice(error)}"
        ) from error


def _downloader(
    name: str, sha256: str | None, size: int | None
) -> Callable[[str, str, object], None]:
    """A downloader for pooch, which retries after a ValueError or a failed request."""
    largest = _LARGEST_JSON if name.lower().endswith(".json") else MOST_BYTES
    max_bytes = size or largest
    shown = largest != _LARGEST_JSON

    def download_and_check(url: str, file: str, _: object) -> None:
        # Only the owner can read pooch's temporary file. A new file has the default
        # permissions, which a shared cache needs.
        Path(file).unlink()
        with (
            progress_bar(f"Downloading {name}", "B", size, shown=shown) as bar,
            _BoundedFile(file, max_bytes, bar) as target,
        ):
            http = pooch.HTTPDownloader(
                chunk_size=_CHUNK,
                timeout=_TIMEOUT,
                headers={"Accept-Encoding": "identity"},
                hooks={"response": partial(_check_answer, max_bytes, bar)},
            )
            http(url, target, None)
        found = Path(file).stat().st_size
        if size is not None and found != size:
            raise ValueError(f"expected {size:,} bytes, found {found:,}")
        if sha256 is None:  # otherwise pooch compares it
            _check_content(Path(file), name)

    return download_and_check


def _check_answer(
    max_bytes: int, bar: Bar, response: requests.Response, **_: object
) -> None:
    """Ends a download that a retry would not fix: a 404, part of a file, too many bytes."""
    status, length = response.status_code, response.headers.get("Content-Length", "")
    encoding = response.headers.get("Content-Encoding", "identity")
    if status >= 500 or status in (408, 429):
        return
    if response.is_redirect:
        response.close()  # otherwise requests reads its whole body
        return
    if status != 200:
        problem = f"the server answered {status} {response.reason}"
    elif encoding != "identity":
        problem = f"the server answered in the encoding {encoding!r:.100}"
    elif length.isdigit() and int(length) > max_bytes:
        problem = f"the file has {length:.30} bytes; expected at most {max_bytes:,}"
    else:
        if length.isdigit():
            bar.total = int(length)
        return
    response.close()
    raise OSError(problem)


class _BoundedFile(io.BufferedWriter):
    """A new file that does not grow beyond a size, and a bar of how much is in it."""

    def __init__(self, path: str, max_bytes: int, bar: Bar) -> None:
        super().__init__(io.FileIO(path, "x"))
        self.left = max_bytes
        self._bar = bar

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.left -= len(data)
        if self.left < 0:
            raise OSError("the server sent more bytes than expected")
        self._bar.update(len(data))
        return super().write(data)


def _check_content(path: Path, name: str) -> None:
    """Raises ValueError if a file is cut or damaged, as far as its format can show it."""
    if path.stat().st_size == 0:
        raise ValueError("the downloaded file is empty")
    for suffixes, check in _CHECKS.items():
        if name.lower().endswith(suffixes):
            try:
                check(path)
            except (OSError, ValueError) as error:
                kind = " or ".join(suffixes)
                raise ValueError(
                    f"the downloaded file is not a complete {kind} file: "
                    f"{error.__cause__ or error}"
                ) from error


def _advice(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"Free some space, or set {CACHE_VARIABLE} to another disk's directory."
        # pooch's own PermissionError has no number.
        if error.errno is not None or isinstance(error, PermissionError):
            return f"Set {CACHE_VARIABLE} to a directory that you can write to."
    return (
        "Check the address and the network, or try another network; or download the file "
        f"elsewhere and pass its path as source. {CACHE_VARIABLE} sets another cache "
        "directory."
    )
