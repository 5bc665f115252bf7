"""Reading the IMDB reviews from their archive or directory."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pooch
import pytest

from keras_elmo.text import imdb

FOLDERS = ("train/neg", "train/pos", "train/unsup", "test/neg", "test/pos")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What the archive unpacks to, with files that the reader has to pass over."""
    root = tmp_path / "aclImdb"
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
        for i in (9, 10):
            text = f"In {folder}:<br /><br />it\tisn't  n°{i}..."
            (root / folder / f"{i}_0.txt").write_text(text, encoding="utf-8")
    (root / "train" / "urls_pos.txt").write_text("http://localhost/", encoding="utf-8")
    (root / "train" / "unsupBow.feat").write_text("0 1:1", encoding="utf-8")
    return tmp_path


def packed(directory: Path) -> Path:
    """Packs the files in another order than that of their names."""
    archive = directory / "reviews.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted((directory / "aclImdb").rglob("*"), reverse=True):
            tar.add(path, path.relative_to(directory), recursive=False)
    return archive


@pytest.mark.parametrize("form", ["archive", "directory", "above", "download"])
def test_reading(directory: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(directory)
    known = {(imdb.URL, imdb.MD5): archive}
    monkeypatch.setattr(pooch, "retrieve", lambda *asked, **_: known[asked[:2]])
    forms = {"archive": archive, "directory": directory / "aclImdb", "above": directory}
    data = forms.get(form, "download")
    training, (texts, labels) = imdb.load_imdb(data)
    assert texts.dtype == object
    # In the order of the names, which is not that of the numbers.
    assert texts.tolist() == [
        "In test/neg: it isn't n°10...",
        "In test/neg: it isn't n°9...",
        "In test/pos: it isn't n°10...",
        "In test/pos: it isn't n°9...",
    ]
    assert labels.dtype == training[1].dtype == np.float32
    assert labels.tolist() == training[1].tolist() == [0, 0, 1, 1]
    found = imdb.read_imdb(data, imdb.TRAINING)
    assert list(found) == ["train/neg", "train/pos", "train/unsup"]
    assert found["train/unsup"][1] == "In train/unsup: it isn't n°9..."


def test_only_what_is_wanted_is_read(directory: Path) -> None:
    (directory / "aclImdb" / "train" / "unsup" / "9_0.txt").write_bytes(b"caf\xe9")
    for data in (directory, packed(directory)):
        assert len(imdb.load_imdb(data)[0][0]) == 4
        with pytest.raises(ValueError, match=r"train/unsup/9_0\.txt is not UTF-8 text"):
            imdb.read_imdb(data, imdb.TRAINING)


def test_what_is_not_there(directory: Path) -> None:
    archive = packed(directory)
    message = r"^data: there is no .*nowhere'\. Pass aclImdb"
    with pytest.raises(FileNotFoundError, match=message):
        imdb.load_imdb(directory / "nowhere")
    shutil.rmtree(directory / "aclImdb" / "test" / "pos")
    for data in (directory, packed(directory)):
        with pytest.raises(ValueError, match=r"has no reviews .* in test/pos\. Pass"):
            imdb.load_imdb(data)
    for content in (archive.read_bytes()[:-200], b"no archive"):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match=r"is not a complete \.tar\.gz archive"):
            imdb.load_imdb(archive)
