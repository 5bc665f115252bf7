"""One file from the web: downloaded by pooch, and checked.

A file is checked before it is moved into place: its size and SHA-256 where they are known,
and otherwise that an archive unpacks, that HDF5 opens it, that it is JSON. Every download
goes to a temporary file of its own and is moved into place in one step, so that several
processes can ask at once and nothing half-written is ever there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import h5py
import pooch
import requests

from keras_elmo.errors import SourceError
from keras_elmo.weights.tar_archive import check_gzip
from keras_elmo.weights.zip_archive import check_zip

CACHE_VARIABLE = "KERAS_ELMO_CACHE"
"""Names the directory in which downloads are kept."""

HDF5_SUFFIXES = (".hdf5", ".h5")

_TIMEOUT = 30  # seconds without a byte
_RETRIES = 3  # pooch waits 1, 2 and 3 seconds before them
_CHUNK = 1 << 18  # bytes at a time; pooch's own 1024 take a system call each


def split_url(url: str) -> SplitResult:
    """The parts of an http(s) URL; a SourceError for what is none."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    except ValueError:  # such as brackets that do not close
        pass
    raise SourceError(f"source {url!r}: expected an http(s) URL, with a host.")


def fetch(
    url: str,
    folder: Path,
    name: str,
    sha256: str | None = None,
    size: int | None = None,
) -> Path:
    """Downloads a file, unless the folder has it.

    Args:
        url: Its http(s) URL.
        folder: Where it is kept.
        name: What to call it there. Its suffix says how it is checked if ``sha256`` is not
            known.
        sha256: Its SHA-256 in hexadecimal, if known.
        size: How many bytes it has, if known.

    Returns:
        Its path.

    Raises:
        SourceError: It cannot be downloaded or written, or is not the file expected.
    """
    split_url(url)
    path = folder / name
    files = pooch.Pooch(
        folder, "", registry={name: sha256}, urls={name: url}, retry_if_failed=_RETRIES
    )
    try:
        if is_whole(path, size, sha256):
            return path
        path.unlink(missing_ok=True)  # pooch would keep it if no SHA-256 is known
        return Path(files.fetch(name, downloader=_checking_downloader(name, sha256, size)))
    # pooch tells of a wrong SHA-256 by a ValueError; RequestException is an OSError.
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            if is_whole(path, size, sha256):  # another process had more luck
                return path
        raise SourceError(
            f"Cannot download {url!r} into {str(folder)!r} ({error}). {_advice(error)}"
        ) from error


def is_whole(path: Path, size: int | None, sha256: str | None = None) -> bool:
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
    elif lower.endswith(HDF5_SUFFIXES):
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
