"""The examples on film reviews, as users run them, on a tiny copy of the data."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from imdb import fine_tune
from imdb.features import ridge_regression

from keras_elmo import ElmoEmbeddingLayer
from tests.examples.running import number, run, write_imdb
from tests.tiny_models import saved_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_imdb(tmp_path_factory.mktemp("data") / "aclImdb")


@pytest.mark.slow
def test_sentiment(data: Path, source: str, tmp_path: Path) -> None:
    options = ["--data", data, "--source", source, "--epochs", 2, "--batch-size", 8]
    options += ["--limit", 40, "--output", tmp_path, "--fine-tune", "all"]
    printed = run("imdb_sentiment.py", "A warm, clever film", *options)
    assert "Training on 36 reviews, validating on 4 others" in printed
    history = json.loads((tmp_path / "history.json").read_text("utf-8"))
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert len(history[name]) == 2
    assert (tmp_path / "training_curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    model = keras.saving.load_model(tmp_path / "model.keras")
    # The article's head on vectors of 16, and ELMo with its mix of four scalars.
    n_elmo = sum(int(np.prod(v.shape)) for v in model.get_layer("elmo").weights)
    n_all = n_elmo + 16 * 256 + 256 + 256 + 1
    assert f"{n_all:,}, of which {n_all:,} are trained ({n_elmo:,} of them" in printed
    sentence = np.array(["A warm, clever film"], dtype=object)
    probability = number(r"film' is \w+ \(p\(positive\) = ([\d.]+)\)$", printed)
    predicted = float(model.predict(sentence, verbose=0)[0, 0])
    assert probability == pytest.approx(predicted, abs=1e-4)
    accuracy = number(r"^Test accuracy: ([\d.]+) on 40 reviews$", printed)
    assert accuracy == pytest.approx(history["test_accuracy"], abs=1e-4)
    mix = model.get_layer("elmo").scalar_mix
    assert number(r"gamma: ([\d.]+)$", printed) == pytest.approx(float(mix.gamma), abs=1e-4)


@pytest.mark.slow
def test_features(data: Path, source: str, tmp_path: Path) -> None:
    options = [data, "--source", source, "--words", 20, "--output", tmp_path]
    printed = run("imdb/features.py", *options)
    # The random model tells words apart.
    assert number(r"^Validation accuracy: ([\d.]+)$", printed) >= 0.8
    assert number(r"^Test accuracy: ([\d.]+) on 60 reviews$", printed) >= 0.9
    # Features of other texts do not mix with these.
    errors = run("imdb/features.py", *options[:-3], 2, *options[-2:], status=1)
    assert "train.npy' belongs to another job; these differ: texts" in errors


@pytest.mark.slow
def test_fine_tuning(data: Path, tmp_path: Path) -> None:
    source, out = saved_model(tmp_path / "model"), tmp_path / "tuned"
    options = ["--source", source, "--output", out, "--words", 20, "--epochs", 8]
    options += ["--batch-size", 8, "--learning-rate", 0.01, "--self-training-epochs", 6]
    printed = run("imdb/fine_tune.py", data, *options)
    history = json.loads((out / "history.json").read_text("utf-8"))
    for part, n_epochs in (("labeled", 8), ("all", 6)):
        for name in ("accuracy", "val_accuracy"):
            assert len(history[part][name]) == n_epochs
        assert history[part]["val_accuracy"][-1] >= 0.8
    accuracy = number(r"^Test accuracy: ([\d.]+) on 60 reviews$", printed)
    assert accuracy == pytest.approx(history["test_accuracy"], abs=1e-4)
    assert accuracy >= 0.9
    assert "Training on 30 more reviews, which the first model labeled" in printed
    before, after = (
        ElmoEmbeddingLayer(path, "layers", fine_tune="all") for path in (source, out)
    )
    for one, other in zip(before.weights, after.weights, strict=True):
        assert np.abs(np.subtract(one, other)).max() > 0, one.path


def test_pieces_of_reviews() -> None:
    """Pieces start anywhere; each word is left out at the rate of the option."""
    whole = " ".join(map(str, range(9)))
    options = Namespace(words=4, word_dropout=0.0)
    reviews = np.array([whole, "0 1 2"] * 200, dtype=object)
    random = np.random.default_rng(0)
    found = fine_tune.pieces(reviews, options, random)
    assert set(found[1::2]) == {"0 1 2"}
    assert set(found[::2]) == {" ".join(map(str, range(i, i + 4))) for i in range(6)}
    options.word_dropout = 0.2
    n_kept = sum(len(text.split()) for text in fine_tune.pieces(reviews, options, random))
    # Of 1,400 words; the standard error is 0.011.
    assert n_kept / (200 * (4 + 3)) == pytest.approx(0.8, abs=0.04)


def test_labels_from_both_ends() -> None:
    """A review is as positive as its first and its last words are on average."""

    class Model:
        def predict(self, texts: Any) -> np.ndarray:
            split = [text.decode().split() for batch in texts for text in batch.numpy()]
            return np.array([[words.count("good") / 2] for words in split])

    reviews = ["good good bad bad bad", "bad bad good good", "good bad", "bad"]
    found = fine_tune.probabilities_of(reviews, Model(), Namespace(words=2, batch_size=3))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.5, 0.0])
    labels, predicted = np.array([0.9, 0.4, 0.0]), np.array([[0.6], [0.7], [0.2]])
    np.testing.assert_array_equal(fine_tune.accuracy(labels, predicted), [[1], [0], [1]])


def test_ridge_regression() -> None:
    """Its closed form, by hand: one feature, standardized, with the least penalty.

    The labels are not balanced.
    """
    x = np.array([[0.0], [2.0], [4.0], [6.0]])
    y = np.array([-1.0, 1.0, 1.0, 1.0])
    weights, bias = ridge_regression(x, y, (x, y))
    scale = np.sqrt(5) + 1e-6
    standardized = (x[:, 0] - 3) / scale
    expected = standardized @ y / (standardized @ standardized + 3) / scale
    np.testing.assert_allclose(weights, [expected], rtol=1e-12)
    assert bias == pytest.approx(0.5 - 3 * expected, rel=1e-12)
