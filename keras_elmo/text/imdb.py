"""Reads the IMDB film reviews of Maas et al. (2011), which several examples use."""

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

_LABELS = np.array([0, 1], np.float32)

# The archive also holds lists of words and links.
_REVIEW = re.compile(r"(?:^|/)((?:train|test)/(?:neg|pos|unsup))/([^/]+\.txt)$")


def load_imdb(data: str | os.PathLike[str]) -> tuple[Reviews, Reviews]:
    """Reads the 50,000 labeled reviews, as :func:`keras_elmo.text.load_reviews` does.

    ``data`` is the path of ``aclImdb_v1.tar.gz`` or of the directory that it unpacks to, or
    ``"download"``, which downloads the archive once (80 MiB). Negative reviews come first.
    """
    texts = read_imdb(data)
    parts = [(texts[f"{part}/neg"], texts[f"{part}/pos"]) for part in ("train", "test")]
    training, test = (
        (np.array(neg + pos, dtype=object), np.repeat(_LABELS, [len(neg), len(pos)]))
        for neg, pos in parts
    )
    return training, test


def read_imdb(
    data: str | os.PathLike[str], folders: Sequence[str] = LABELED
) -> dict[str, list[str]]:
    """Reads the reviews of folders, in the order of the file names.

    ``TRAINING`` are the folders to train on. HTML line breaks and any white space become
    single spaces.
    """
    path = Path(data).expanduser() if str(data) != "download" else _download()
    if not path.exists():
        raise FileNotFoundError(
            f"data: there is no file or directory {str(path)!r}. Pass aclImdb_v1.tar.gz, "
            "the directory that it unpacks to, or 'download'."
        )
    found: dict[str, dict[str, str]] = {folder: {} for folder in folders}
    for folder, name, content in _files(path, folders):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{folder}/{name} is not UTF-8 text: {error}.") from error
        found[folder][name] = " ".join(re.sub(r"<br\s*/?>", " ", text).split())
    if missing := [folder for folder, texts in found.items() if not texts]:
        raise ValueError(
            f"{str(path)!r} has no reviews (*.txt files) in {', '.join(missing)}. Pass "
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
        # Unlike tarfile, gzip raises an error for a truncated archive.
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                match = _REVIEW.search(member.name) if member.isfile() else None
                if match and match[1] in folders:
                    content = archive.extractfile(member)
                    assert content is not None  # it is a file
                    yield match[1], match[2], content.read()
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(
            f"{str(path)!r} is not a complete .tar.gz archive: {error}. Pass "
            "aclImdb_v1.tar.gz, or the directory that it unpacks to."
        ) from error
