"""The IMDB data: reading and downloading them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from tests.examples.imdb.data import N_REVIEWS


def test_reading(data: ModuleType, archive: Path, directory: Path) -> None:
    (texts, labels), (test_texts, test_labels) = data.load_imdb(str(archive))
    assert texts.dtype == object
    assert labels.dtype == np.float32
    assert labels.tolist() == test_labels.tolist() == [0] * N_REVIEWS + [1] * N_REVIEWS
    # In the order of the names, which is not that of the numbers.
    assert texts[0] == "A dull film,<br /><br /> and a dull end 0 . From train/neg."
    assert texts[1] == "A clumsy film,<br /><br /> and a dull end 10 . From train/neg."
    assert test_texts[-1].endswith("end 9 . From test/pos.")
    for path in (directory, directory / "aclImdb"):
        for part, expected in zip(
            data.load_imdb(str(path)), data.load_imdb(str(archive)), strict=True
        ):
            assert part[0].tolist() == expected[0].tolist()
            assert part[1].tolist() == expected[1].tolist()


@pytest.fixture
def downloads(
    data: ModuleType, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """Keras "downloads" the tiny archive, which passes for the real one."""
    calls: list[dict[str, Any]] = []

    def get_file(**kwargs: Any) -> str:
        calls.append(kwargs)
        return str(archive)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(data, "ARCHIVE_BYTES", archive.stat().st_size)
    monkeypatch.setattr(data, "N_REVIEWS", N_REVIEWS)
    return calls


def test_download(data: ModuleType, archive: Path, downloads: list[dict[str, Any]]) -> None:
    training, _ = data.load_imdb("download")
    assert training[0].tolist() == data.load_imdb(str(archive))[0][0].tolist()
    (call,) = downloads
    assert call["origin"].startswith("https://ai.stanford.edu/")
    assert call["extract"] is False


@pytest.mark.usefixtures("downloads")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ARCHIVE_BYTES", r"has [\d,]+ bytes; the published archive has 99,999\. Delete"),
        ("N_REVIEWS", r"must hold 99,999 reviews in each of train/neg.*'test/pos': 12"),
    ],
)
def test_download_of_something_else(
    data: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setattr(data, name, 99_999)
    with pytest.raises(data.DataError, match=message):
        data.load_imdb("download")


def test_failed_download(
    error_line: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_file(**kwargs: Any) -> str:
        raise Exception("URL fetch failure")  # the class that Keras raises

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    message = r"argument --data: Cannot download https://.* \(URL fetch failure\)\. Check"
    assert re.search(message, error_line("--data", "download"))
