"""Small records and cached files that were made to do harm, or changed since."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_elmo import SourceError
from keras_elmo.vectors.store import read_record
from keras_elmo.weights.download import download_named_model
from keras_elmo.weights.named_models import MODELS
from tests.tiny_models import LEAST, saved_model

DEEP = "[" * 100_000


@pytest.mark.parametrize("content", [DEEP, "[]", "3", '{"a": 1, "a": 1}', "\x00", "{"])
def test_json_that_is_another(tmp_path: Path, content: str) -> None:
    (tmp_path / "out.npy.json").write_text(content)
    with pytest.raises(ValueError, match=r"cannot read '.*out.npy.json'"):
        read_record(tmp_path / "out.npy.json")


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
