"""The IMDB film reviews of Maas et al. (2011), which several examples and figures use."""

from __future__ import annotations

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pooch

from keras_elmo.text.reviews import Reviews

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "md5:7c2ac02c03563afcf9b574c7e56c153a"

LABELED = ("train/neg", "train/pos", "test/neg", "test/pos")
TRAINING = ("train/neg", "train/pos", "train/unsup")

# The archive also holds lists of words and links.
_REVIEW = re.compile(r"(?:^|/)((?:train|test)/(?:neg|pos|unsup))/([^/]+\.txt)$")


def load_imdb(data: str | os.PathLike[str]) -> tuple[Reviews, Reviews]:
    """Reads the 50,000 labeled reviews.

    Args:
        data: The path of ``aclImdb_v1.tar.gz`` or of the directory that it unpacks to, or
            ``"download"``, which downloads the archive once (80 MiB).

    Returns:
        ``(train_texts, train_labels), (test_texts, test_labels)``, as
        :func:`keras_elmo.text.reviews.load_reviews` returns them, negative reviews first.
        Line breaks of HTML and white space of any kind are single spaces.

    Raises:
        FileNotFoundError: There is no such file or directory.
        ValueError: It does not hold the reviews.
    """
    texts = read_imdb(data)
    return _reviews(texts, "train"), _reviews(texts, "test")


def read_imdb(
    data: str | os.PathLike[str], folders: Sequence[str] = LABELED
) -> dict[str, list[str]]:
    """Reads the reviews of some folders; ``TRAINING`` is all that may be trained on.

    Args:
        data: As for :func:`load_imdb`.
        folders: Their names, such as ``"train/neg"``.

    Returns:
        The texts of each folder, in the order of the file names.

    Raises:
        FileNotFoundError: There is no such file or directory.
        ValueError: One of the folders is empty or missing, or a review is not UTF-8.
    """
    path = Path(data).expanduser() if str(data) != "download" else _download()
    found: dict[str, dict[str, str]] = {folder: {} for folder in folders}
    for folder, name, content in _files(path, folders):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{folder}/{name} is not UTF-8 text: {error}.") from error
        found[folder][name] = " ".join(re.sub(r"<br\s*/?>", " ", text).split())
    if missing := [folder for folder, texts in found.items() if not texts]:
        raise ValueError(
            f"{str(path)!r} has no reviews (*.txt files) in {', '.join(missing)}. Give "
            "aclImdb_v1.tar.gz, or the directory with train/ and test/."
        )
    return {
        folder: [texts[name] for name in sorted(texts)] for folder, texts in found.items()
    }


def _download() -> Path:
    cache = os.environ.get("KERAS_ELMO_CACHE") or pooch.os_cache("keras-elmo")
    name = URL.rpartition("/")[2]
    return Path(pooch.retrieve(URL, MD5, name, cache, progressbar=True))


def _files(path: Path, folders: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """The folder, name and content of each review; nothing is unpacked to the disk."""
    if path.is_dir():
        root = path / "aclImdb" if (path / "aclImdb").is_dir() else path
        for folder in folders:
            for file in (root / folder).glob("*.txt"):
                yield folder, file.name, file.read_bytes()
        return
    try:
        # With gzip by itself, the end of a truncated archive is an error.
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                match = _REVIEW.search(member.name) if member.isfile() else None
                if match and match[1] in folders:
                    content = archive.extractfile(member)
                    assert content is not None  # it is a file
                    yield match[1], match[2], content.read()
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(
            f"{str(path)!r} is not a complete .tar.gz archive: {error}. Give "
            "aclImdb_v1.tar.gz, or the directory that it unpacks to."
        ) from error


def _reviews(texts: dict[str, list[str]], part: str) -> Reviews:
    negative, positive = texts[f"{part}/neg"], texts[f"{part}/pos"]
    labels = np.repeat(np.array([0, 1], np.float32), [len(negative), len(positive)])
    return np.array(negative + positive, dtype=object), labels
