"""What computing features shows, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from tests.vectors.small_jobs import SENTENCES, contents

KEYS = {"path": "a.h5", "sentence_keys": True}


def test_shows_the_progress(
    layer: ElmoEmbeddingLayer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compute_features(layer, SENTENCES, tmp_path / "a.npy")
    shown = capsys.readouterr().err
    assert "Embedding: 100%" in shown
    assert " tokens/s]" in shown
    compute_features(layer, SENTENCES, tmp_path / "b.npy", progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "out.txt"}, ValueError, r"must end in .hdf5, .h5, .npy, .parquet; got"),
        ({"path": "out.parquet"}, ValueError, "pooled must be True for a Parquet file"),
        ({"path": "none/a.npy"}, FileNotFoundError, "there is no directory 'none'. Make"),
        ({"path": "a" * 250 + ".h5"}, ValueError, r"name 'aaa.* is too long by 19 bytes"),
        ({"texts": Path("none.txt")}, FileNotFoundError, "there is no file 'none.txt'"),
        ({"texts": Path()}, ValueError, r"'\.' is (no|not a) regular file"),
        ({"texts": "in.txt"}, TypeError, "got the single text 'in.txt'"),
        ({"texts": None}, TypeError, "must be a list"),
        ({"texts": ["a", None]}, ValueError, "position 1 is missing"),
        ({"texts": []}, ValueError, "at least one|no sentences"),
        ({"texts": ["a"], "column": "b"}, ValueError, "column"),
        (
            {"layers": "best"},
            ValueError,
            "layers must be one of 'all', 'top', 'average', '",
        ),
        ({"pooled": 1}, ValueError, "pooled must be True or False; got 1"),
        ({"dtype": "int8"}, ValueError, "dtype must be one of 'float32', 'float16'; got"),
        (
            {"on_error": "ignore"},
            ValueError,
            "on_error must be one of 'fail', 'repair', 's",
        ),
        ({"max_tokens": 0}, ValueError, "max_tokens must be a positive integer; got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer; got 0"),
        ({"token_budget": None}, ValueError, "token_budget must be a positive integer"),
        ({"progress": 1}, ValueError, "progress must be True or False; got 1"),
        ({"sentence_keys": 1}, ValueError, "sentence_keys must be True or False; got 1"),
        (
            {"sentence_keys": True},
            ValueError,
            "sentence_keys=True is for HDF5; use it with",
        ),
        (
            {**KEYS, "forget_sentences": True},
            ValueError,
            "sentence_keys=True keeps the sen",
        ),
    ],
)
def test_refuses(
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"texts": SENTENCES, "path": "a.npy", **arguments}
    with pytest.raises(error, match=message):
        compute_features(layer, **options)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["a.npy.part", "a.npy.sentences.jsonl", "link.txt"])
def test_the_texts_are_not_written_over(
    name: str, layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    beside = tmp_path / ("a.npy.json" if name == "link.txt" else name)
    beside.write_text("a cat\n")
    if name == "link.txt":
        (tmp_path / name).symlink_to(beside)
    for texts in (tmp_path / name, [tmp_path / name]):
        with pytest.raises(ValueError, match=r"path: .*a.npy' would write over .*name is"):
            compute_features(layer, texts, tmp_path / "a.npy", progress=False)
    assert beside.read_text() == "a cat\n"
