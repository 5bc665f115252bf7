"""What embedding a corpus shows, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors import embed_corpus
from tests.vectors.small_jobs import (
    SENTENCES,
    contents,
)


def test_shows_the_progress(
    layer: ElmoEmbeddingLayer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embed_corpus(layer, SENTENCES, tmp_path / "a.npy")
    shown = capsys.readouterr().err
    assert "Embedding: 100%" in shown
    assert " tokens/s]" in shown
    embed_corpus(layer, SENTENCES, tmp_path / "b.npy", progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"path": "out.txt"},
            ValueError,
            r"path must end in .hdf5, .h5, .npy, .parquet; got",
        ),
        ({"path": "out.parquet"}, ValueError, "pooled must be True for a Parquet file"),
        ({"path": "none/a.npy"}, FileNotFoundError, "there is no directory 'none'. Make"),
        ({"corpus": "none.txt"}, FileNotFoundError, "no file 'none.txt'"),
        ({"corpus": "."}, ValueError, r"corpus: '\.' is not a regular file, which can be"),
        (
            {"path": "a" * 250 + ".h5"},
            ValueError,
            r"name 'aaa.* is too long by 19 bytes: names of files beside it begin with it",
        ),
        ({"corpus": ""}, ValueError, "corpus: the name of the file is empty. Name one"),
        ({"corpus": None}, TypeError, "corpus must be a list"),
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
            {"path": "a.h5", "sentence_keys": True, "forget_sentences": True},
            ValueError,
            "sentence_keys=True keeps the sentences, forget_sentences=True does not",
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
    options = {"corpus": SENTENCES, "path": "a.npy", **arguments}
    with pytest.raises(error, match=message):
        embed_corpus(layer, **options)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", ["a.npy.part", "a.npy.sentences.jsonl", "link.txt"])
def test_the_corpus_is_not_written_over(
    name: str, layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    beside = tmp_path / ("a.npy.json" if name == "link.txt" else name)
    beside.write_text("a cat\n")
    if name == "link.txt":
        (tmp_path / name).symlink_to(beside)
    with pytest.raises(ValueError, match=r"path: .*a.npy' would write over .*name is made"):
        embed_corpus(
            layer, tmp_path / name, tmp_path / "a.npy", input_format="text", progress=False
        )
    assert beside.read_text() == "a cat\n"
