"""Texts, small records and cached files that were made to do harm, or changed since."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_elmo import SourceError
from keras_elmo.pretraining.sentences import read_sentences
from keras_elmo.text import records, texts
from keras_elmo.text.records import corpus_records
from keras_elmo.text.texts import read_texts
from keras_elmo.vectors.partial_file import PartialFile
from keras_elmo.weights.download import download_named_model
from keras_elmo.weights.named_models import MODELS
from tests.tiny_models import LEAST, saved_model


def test_texts_that_unpack_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_MUCH", 1000)
    path = tmp_path / "bomb.txt.gz"
    path.write_bytes(gzip.compress(b"\n" * 500))
    assert len(read_texts(path)) == 500
    path.write_bytes(gzip.compress(b"\n" * 100_000))
    with pytest.raises(
        ValueError, match=r"bomb.txt.gz' unpacks from 1\d\d bytes to more t"
    ):
        read_texts(path)
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(ValueError, match=r"at least one text; got none in '.*bomb.txt.gz'"):
        read_texts(path)


def test_a_row_of_csv_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many fields over many lines, none of which is too long by itself."""
    limit = csv.field_size_limit()
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 1000)
    path = tmp_path / "bomb.csv"
    path.write_text("id,text\n1,a\n" + '"\n",' * 600)
    rows = corpus_records(path, None, "text")()
    assert next(rows).text == b"a"
    with pytest.raises(ValueError, match="this is no CSV, or a quote is missing"):
        next(rows)
    path.write_text("id,text\n" + "1,abcdefgh\n" * 1000)
    assert len(list(corpus_records(path, None, "text")())) == 1000
    csv.field_size_limit(limit)


def test_text_to_train_on_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a b\n" * 1000)[:12] + b"\xff" * 50)
    with pytest.raises(ValueError, match=r"texts: cannot read '.*a.txt.gz' \("):
        list(read_sentences([path]))


# ----------------------------------------------------------------------------- records


DEEP = "[" * 100_000


@pytest.mark.parametrize("content", [DEEP, "[]", "3", '{"a": 1, "a": 1}', "\x00", "{"])
def test_json_that_is_another(tmp_path: Path, content: str) -> None:
    (tmp_path / "out.npy.json").write_text(content)
    with pytest.raises(ValueError, match=r"cannot read '.*out.npy.json'"):
        PartialFile(tmp_path / "out.npy", {}).read_record()


# -------------------------------------------------------------------------- the cache


def test_a_cached_file_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its size still, and an HDF5 file: only its SHA-256 tells."""
    source = saved_model(tmp_path / "source", LEAST)
    content = (source / "weights.hdf5").read_bytes()
    named = dataclasses.replace(
        MODELS["small"],
        weights_url="http://127.0.0.1:9/weights.hdf5",
        options_url="http://127.0.0.1:9/options.json",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )

    def serve(url: str, file: str, _: object) -> None:
        shutil.copy(source / Path(url).name, file)

    monkeypatch.setattr("pooch.HTTPDownloader", lambda **_: serve)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))
    path = download_named_model(named)
    changed = bytearray(content)
    changed[-3] ^= 1
    path.write_bytes(changed)
    assert download_named_model(named).read_bytes() == content
    path.write_bytes(changed)
    (source / "weights.hdf5").unlink()
    with pytest.raises(SourceError, match=r"Cannot download '.*weights.hdf5'"):
        download_named_model(named)


def test_a_model_of_the_package_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_elmo.weights.named_models._PACKAGE_DATA", tmp_path)
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini/weights.hdf5").write_bytes(bytes(7_962_240))
    with pytest.raises(SourceError, match=r"'mini': '.*' is not the file that comes with"):
        download_named_model(MODELS["mini"])


def test_options_with_a_name_twice(tmp_path: Path) -> None:
    text = json.dumps(LEAST.to_options())
    path = tmp_path / "options.json"
    path.write_text(text.replace('"dim": 12', '"dim": 13, "dim": 12'))
    with pytest.raises(ValueError, match="has 'dim' twice"):
        type(LEAST).from_json(path)
