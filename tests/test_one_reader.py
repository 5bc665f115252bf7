"""Each way in reads texts by the same rules: data sets, vectors, training, perplexity."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from keras_elmo import (
    ElmoEmbeddingLayer,
    batch_to_character_ids,
    compute_features,
    text_dataset,
)
from keras_elmo.cli.main import main
from tests.tiny_models import LEAST, saved_model

TEXTS = {
    "space": ["the cat", "", "a dog. ran", "", "café"],
    "words": ["the cat", "", "a dog . ran", "", "café"],
    "character": ["t h e c a t", "", "a d o g . r a n", "", "c a f é"],
}
# A byte order mark, tabs, line ends of Windows, characters that end no line, no line end;
# and compressed, without a name that says so.
FILE = gzip.compress(
    "\ufeffthe\tcat \r\n\r\na\u2028dog.\x0c ran\n \t\ncafé".encode(),
)
BAD = b"fine\ncaf\xe9\n"

TRAINING = {"n_steps": 1, "log_steps": 1, "batch_size": 1, "window_steps": 4}
TRAINING |= {"warmup_steps": 0, "n_samples": None}
Way = Callable[[Any, Path, Path, str], None]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("one_reader") / "model", LEAST)


def run(*arguments: object) -> None:
    """Runs the command, which prints its errors."""
    if main([str(argument) for argument in arguments]) != 0:
        raise ValueError("see the standard error")


def of_text_dataset(path: Any, model: Path, folder: Path, split: Any) -> None:
    batches = text_dataset(path, batch_size=2, split=split).as_numpy_iterator()
    assert [text.decode() for batch in batches for text in batch] == TEXTS[split]


def of_compute_features(path: Any, model: Path, folder: Path, split: Any) -> None:
    layer = ElmoEmbeddingLayer(model, "pooled_layers")
    found = compute_features(layer, path, folder / "a.npy", progress=False, split=split)
    check_vectors(found, layer, split)


def of_embed(path: Path, model: Path, folder: Path, split: Any) -> None:
    out = folder / "out.npy"
    run("embed", path, out, "--source", model, "--pooled", "--quiet", "--split", split)
    check_vectors(np.load(out), ElmoEmbeddingLayer(model, "pooled_layers"), split)


def check_vectors(found: Any, layer: ElmoEmbeddingLayer, split: str) -> None:
    for array, expected in zip(found, np.asarray(layer(TEXTS[split])), strict=True):
        pooled = array  # (n_layers + 1, D), or with an axis of tokens before
        if array.ndim == 3:
            pooled = array.mean(axis=0) if len(array) else np.zeros_like(expected)
        np.testing.assert_allclose(pooled, expected, atol=1e-6)


def of_train(path: Path, model: Path, folder: Path, split: Any) -> None:
    trained(path, folder / "trained", "--split", split)
    words = (folder / "trained" / "vocabulary.txt").read_text("utf-8").split("\n")
    assert {*" ".join(TEXTS[split]).split()} == {*words[3:]} - {""}


def trained(path: Path, out: Path, *options: str) -> None:
    config = out.with_suffix(".json")
    config.write_text(json.dumps({"model": LEAST.to_options(), "training": TRAINING}))
    run("train", path, "--config", config, "--out", out, "--quiet", *options)


def of_evaluate(path: Path, model: Path, folder: Path, split: Any) -> None:
    from keras_elmo.pretraining import evaluate

    clean = folder / "clean.txt"
    clean.write_text("\n".join(TEXTS[split]), encoding="utf-8")
    trained(clean, folder / "trained")
    run("evaluate", folder / "trained", path, "--split", split)
    found = evaluate(folder / "trained", [path], split=split)
    expected = evaluate(folder / "trained", [clean])
    assert found == pytest.approx(expected, rel=1e-5)


WAYS = [
    of_text_dataset,
    of_compute_features,
    of_embed,
    pytest.param(of_train, marks=pytest.mark.slow),
    pytest.param(of_evaluate, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("split", TEXTS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_read(way: Way, split: str, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILE)
    way(path, model, tmp_path, split)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_utf_8(
    way: Way, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    path.write_bytes(BAD)
    with pytest.raises(ValueError, match=r"choose on_error=|see the standard error"):
        way(path, model, tmp_path, "space")
    assert f"{str(path)!r}, line 2: not UTF-8 (byte 4)" in caplog.messages


@pytest.mark.parametrize("texts", [["a", None], ["a", float("nan")]])
def test_missing_values(texts: list[Any], model: Path, tmp_path: Path) -> None:
    for way in (of_text_dataset, of_compute_features):
        with pytest.raises(ValueError, match=r"texts\[1\] is missing"):
            way(texts, model, tmp_path, "space")


FRAME = {"text": ["A fine film .", "Dull ."], "label": [1, 0]}
ENTRIES: dict[str, Callable[[Any], Any]] = {
    "sentences": lambda texts: ElmoEmbeddingLayer(LEAST)(texts),
    "tokens": lambda texts: ElmoEmbeddingLayer(LEAST, input_mode="tokens")(texts),
    "text_dataset": text_dataset,
    "compute_features": lambda texts: compute_features(LEAST, texts, "out.npy"),
    "batch_to_character_ids": batch_to_character_ids,
    "cache_vocabulary": lambda words: ElmoEmbeddingLayer(LEAST).cache_vocabulary(words),
}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            pd.DataFrame(FRAME),
            r"a DataFrame. Pass the texts in it, such as frame\['text'\]",
        ),
        (
            pl.DataFrame(FRAME),
            r"a DataFrame. Pass the texts in it, such as frame\['text'\]",
        ),
        (FRAME, r"a dict. Pass the texts in it, such as texts\['text'\]"),
        ({"A fine film ."}, "of type set. Convert it to a list"),
        (iter(["A fine film ."]), "of type list_iterator. Convert it to a list"),
        (
            [{"text": "A fine film ."}],
            "{'text': 'A fine film .'} of type dict|a dict. Pass",
        ),
        ([{"A fine film ."}], "{'A fine film .'} of type set"),
    ],
)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_would_be_read_as_something_else(
    entry: str, given: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table's column names, a dict's keys, a set's strings in any order."""
    monkeypatch.chdir(tmp_path)
    has_no_order = entry == "cache_vocabulary" and isinstance(given, (set, Iterator))
    taken = contextlib.nullcontext()
    with taken if has_no_order else pytest.raises(TypeError, match=message):
        ENTRIES[entry](given)
    assert list(tmp_path.iterdir()) == []
