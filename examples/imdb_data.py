"""Reading the IMDB film reviews (Maas et al. 2011) from their archive or directory."""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from keras_elmo.text.reviews import Reviews

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
ARCHIVE_BYTES = 84_125_825
N_REVIEWS = 12_500  # in each of the four folders of labelled reviews
N_UNLABELLED = 50_000

_LABELLED = ("train/neg", "train/pos", "test/neg", "test/pos")
_UNLABELLED = "train/unsup"
_TRAINING = ("train/neg", "train/pos", _UNLABELLED)
_BLOCK_BYTES = 1 << 20
_LINE_BREAK = re.compile(r"<br\s*/?>")
# The archive also holds lists of words and links.
_MEMBER = re.compile(r"(?:^|/)((?:train|test)/(?:neg|pos|unsup))/([^/]+\.txt)$")

Folders = dict[str, dict[str, str]]
"""Review texts by folder (``"train/neg"``) and file name."""


class DataError(ValueError):
    """The data cannot be had; the message says what was found and what to do."""


def load_imdb(data: str) -> tuple[Reviews, Reviews]:
    """Reads the labelled reviews.

    Args:
        data: The archive, the directory it unpacks to, the directory above that, or
            ``"download"``, which fetches the archive into Keras' cache.

    Returns:
        ``(train_texts, train_labels), (test_texts, test_labels)``, as
        :func:`keras_elmo.text.reviews.load_reviews` returns them, negative reviews first
        and in the order of the file names, whatever order they are stored in.

    Raises:
        DataError: The reviews are not there.
    """
    folders = _read(data, _LABELLED)
    return _reviews(folders, "train"), _reviews(folders, "test")


def load_training_texts(data: str) -> list[str]:
    """Reads all reviews that may be trained on, those without a label too.

    Args:
        data: As for :func:`load_imdb`.

    Returns:
        The texts of ``train/neg``, ``train/pos`` and ``train/unsup``, in the order of
        folder and file name.

    Raises:
        DataError: The reviews are not there.
    """
    folders = _read(data, _TRAINING)
    return [by_name[name] for by_name in folders.values() for name in sorted(by_name)]


def plain_text(review: str) -> str:
    """A review without its line breaks, which are HTML's ``<br />``."""
    return _LINE_BREAK.sub(" ", review)


def _read(data: str, wanted: Sequence[str]) -> Folders:
    if data != "download":
        return _read_path(Path(data).expanduser(), wanted)
    folders = _read_archive(_download(), wanted)
    _check_complete(folders)
    return folders


def _download() -> Path:
    try:
        path = Path(keras.utils.get_file(origin=URL, extract=False))
    except Exception as error:  # Keras has no narrower class for a failed download
        raise DataError(
            f"Cannot download {URL} ({error}). Check the connection, or download it by "
            "other means and give the path of the archive."
        ) from error
    # A file that was in the cache already may be anything.
    n_bytes = path.stat().st_size
    if n_bytes != ARCHIVE_BYTES:
        raise DataError(
            f"{path} has {n_bytes:,} bytes; the published archive has {ARCHIVE_BYTES:,}. "
            "Delete the file and try again."
        )
    return path


def _check_complete(folders: Folders) -> None:
    found = {folder: len(texts) for folder, texts in folders.items()}
    expected = {f: N_UNLABELLED if f == _UNLABELLED else N_REVIEWS for f in folders}
    if found != expected:
        labelled = [folder for folder in folders if folder != _UNLABELLED]
        others = f" and {N_UNLABELLED:,} in {_UNLABELLED}" if _UNLABELLED in folders else ""
        raise DataError(
            f"The downloaded archive must hold {N_REVIEWS:,} reviews in each of "
            f"{', '.join(labelled)}{others}; found {found}. Delete it and try again."
        )


def _read_path(path: Path, wanted: Sequence[str]) -> Folders:
    if not path.exists():
        raise DataError(
            f"There is no file or directory {str(path)!r}. Give the path of "
            "aclImdb_v1.tar.gz or of what it unpacks to, or 'download'."
        )
    read = _read_directory if path.is_dir() else _read_archive
    folders = read(path, wanted)
    missing = [folder for folder, texts in folders.items() if not texts]
    if missing:
        raise DataError(
            f"{str(path)!r} has no reviews (*.txt files) in {', '.join(missing)}. Give "
            "aclImdb_v1.tar.gz, the directory with train/ and test/, or the one above."
        )
    return folders


def _read_directory(path: Path, wanted: Sequence[str]) -> Folders:
    unpacked = path / "aclImdb"
    root = unpacked if unpacked.is_dir() else path
    folders: Folders = {}
    try:
        for folder in wanted:
            paths = list((root / folder).glob("*.txt"))
            with tqdm(paths, desc=f"Reading {folder}", unit=" files") as progress:
                folders[folder] = {
                    path.name: _text(path.read_bytes(), str(path)) for path in progress
                }
    except OSError as error:
        raise DataError(f"Cannot read the reviews in {str(root)!r}: {error}.") from error
    return folders


def _read_archive(path: Path, wanted: Sequence[str]) -> Folders:
    """Streams through the archive once; nothing is unpacked to the disk."""
    folders: Folders = {folder: {} for folder in wanted}
    progress = {"desc": f"Reading {path.name}", "total": path.stat().st_size}
    try:
        with (
            path.open("rb") as file,
            tqdm.wrapattr(file, "read", **progress) as stream,
            gzip.open(stream) as unzipped,
            tarfile.open(fileobj=unzipped, mode="r|") as archive,
        ):
            for member in archive:
                match = _MEMBER.search(member.name) if member.isfile() else None
                if not match or match[1] not in wanted:
                    continue
                content = archive.extractfile(member)
                if content:
                    folder, name = match.groups()
                    folders[folder][name] = _text(content.read(), member.name)
            # tarfile takes a cut off archive for a shorter one. gzip knows better, but
            # only when it is asked for what comes behind the last member.
            while unzipped.read(_BLOCK_BYTES):
                pass
    # What is not an archive raises the first; what is cut off or damaged, the others.
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"Cannot read {str(path)!r} as a gzipped tar archive: {error}. Give the "
            "complete aclImdb_v1.tar.gz, or the directory that it unpacks to."
        ) from error
    return folders


def _text(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"The review {name!r} is not UTF-8 text: {error}.") from error
    # The layer splits at spaces only. Other white space separates words here, too.
    return " ".join(text.split())


def _reviews(folders: Folders, part: str) -> Reviews:
    texts: list[str] = []
    labels: list[float] = []
    for label, sentiment in enumerate(("neg", "pos")):
        by_name = folders[f"{part}/{sentiment}"]
        texts += [by_name[name] for name in sorted(by_name)]
        labels += [label] * len(by_name)
    return np.array(texts, dtype=object), np.array(labels, dtype=np.float32)
