"""What computing features shows, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from tests.vectors.small_jobs import SENTENCES, contents

OTHER_ERRORS = {
    "there is no": FileNotFoundError,
    "single text": TypeError,
    "must be a list": TypeError,
}
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
    ("arguments", "message"),
    [
        ({"path": "none/a.npy"}, "there is no directory 'none'. Crea"),
        ({"texts": Path("none.txt")}, "there is no file 'none.txt'"),
        ({"texts": "in.txt"}, "got the single text 'in.txt'"),
        ({"texts": None}, "must be a list"),
        ({"path": "out.txt"}, r"must end in .hdf5, .h5, .npy, .parquet; got"),
        ({"path": "out.parquet"}, "pooled must be True for a Parquet file"),
        ({"path": "a" * 250 + ".h5"}, r"name 'aaa.* is 19 bytes too long"),
        ({"texts": Path()}, r"'\.' is not a regular file"),
        ({"texts": ["a", None]}, r"texts\[1\] is missing"),
        ({"texts": []}, "no sentences"),
        (
            {"texts": ["a b"], "on_error": "skip", "max_tokens": 1},
            "they contain no sentences",
        ),
        ({"texts": ["a"], "column": "b"}, "input_format and column apply only"),
        ({"layers": "best"}, "layers must be one of 'all', 'top', 'average', 'sum', 'mix'"),
        ({"pooled": 1}, "pooled must be True or False; got 1"),
        ({"dtype": "int8"}, "dtype must be one of 'float32', 'float16'; got"),
        ({"on_error": "ignore"}, "on_error must be one of 'fail', 'repair', 'skip'; got"),
        ({"split": "lines"}, "split must be one of 'space', 'words', 'character'; got"),
        ({"max_tokens": 0}, "max_tokens must be a positive integer; got 0"),
        ({"batch_size": 0}, "batch_size must be a positive integer; got 0"),
        ({"token_budget": None}, "token_budget must be a positive integer"),
        ({"progress": 1}, "progress must be True or False; got 1"),
        ({"sentence_keys": 1}, "sentence_keys must be True or False; got 1"),
        ({"sentence_keys": True}, "sentence_keys=True applies only to HDF5"),
        ({**KEYS, "forget_sentences": True}, "sentence_keys=True keeps the sentences"),
    ],
)
def test_refuses(
    arguments: dict[str, Any],
    message: str,
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    error = next(
        (type_ for text, type_ in OTHER_ERRORS.items() if text in message), ValueError
    )
    with pytest.raises(error, match=message):
        compute_features(layer, **{"texts": SENTENCES, "path": "a.npy", **arguments})
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
        with pytest.raises(ValueError, match=r"path: .*a.npy' would overwrite .*name is"):
            compute_features(layer, texts, tmp_path / "a.npy", progress=False)
    assert beside.read_text() == "a cat\n"
