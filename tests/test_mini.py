"""The model that comes with the package: its files, and what it knows."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, list_models, tokenize
from keras_elmo.hub.sources import load_source
from keras_elmo.pretraining import evaluate, load_language_model
from keras_elmo.text.reviews import load_reviews
from keras_elmo.weights.named_models import MODELS

MINI = MODELS["mini"]
LARGEST = 20_000_000  # bytes, of the wheel


def test_files() -> None:
    folder = MINI.embedded_path
    assert folder is not None
    names = {"README.md", "options.json", "softmax.npz", "vocabulary.txt", "weights.hdf5"}
    assert {path.name for path in folder.iterdir()} == names
    assert sum(path.stat().st_size for path in folder.iterdir()) < 0.9 * LARGEST
    content = (folder / "weights.hdf5").read_bytes()
    assert len(content) == MINI.size
    assert hashlib.sha256(content).hexdigest() == MINI.sha256
    options = json.loads((folder / "options.json").read_text(encoding="utf-8"))
    assert (options["name"], options["version"]) == ("mini", MINI.version)
    assert options["tokenizer"] == "keras_elmo.tokenize 0.1"
    assert list_models()[0] is MINI
    assert [m.name for m in list_models() if m.embedded_path is not None] == ["mini"]


def test_shape() -> None:
    config, arrays, path = load_source("mini")
    assert path.name == "weights.hdf5"
    assert (config.n_layers, config.dim, config.projection_dim) == (2, 384, 256)
    assert config.n_parameters == 3_966_928
    assert f"{config.n_parameters / 1e6:.1f} million parameters" in MINI.description
    assert all(np.isfinite(array).all() for array in arrays.values())
    _, vocabulary = load_language_model("mini", 1)
    assert len(vocabulary) == 16_000
    assert vocabulary.words[3:6] == ("the", ".", ",")


@pytest.mark.slow
def test_perplexity(tmp_path: Path) -> None:
    """Film reviews are much more likely as they are than with their words shuffled."""
    (texts, _), _ = load_reviews()
    rng, path = np.random.default_rng(0), tmp_path / "a.txt"
    sentences = [tokenize(text) for text in texts[:40]]
    means = []
    for lines in (sentences, [rng.permutation(words) for words in sentences]):
        path.write_text("\n".join(map(" ".join, lines)) + "\n", encoding="utf-8")
        mean, forward, backward = evaluate("mini", [path])
        assert mean == pytest.approx(math.sqrt(forward * backward), rel=1e-5)
        means.append(mean)
    assert means[0] < 110  # 83
    assert means[1] > 25 * means[0]  # 42


def test_context_counts() -> None:
    """The same word is nearer to itself in a like context than in another."""
    layer = ElmoEmbeddingLayer("mini", output_mode="lstm_outputs2")
    texts = ["The whole cast is just great .", "The cast is simply great ."]
    vectors = np.asarray(layer([*texts, "They cast him as the villain ."]))
    same, like, other = vectors[0, 2], vectors[1, 1], vectors[2, 1]

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(same, like) > cosine(same, other) + 0.1


@pytest.mark.slow
def test_sentiment_of_the_embedded_reviews() -> None:
    """Frozen features and ridge regression, in closed form."""
    (texts, labels), (test_texts, test_labels) = load_reviews()
    layer = ElmoEmbeddingLayer("mini", output_mode="pooled_layers")

    def features(reviews: np.ndarray) -> np.ndarray:
        sentences = [" ".join(tokenize(text)) for text in reviews]
        return np.asarray(layer(sentences)).reshape(len(reviews), -1)

    x, test_x = features(texts), features(test_texts)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-6
    x, test_x = (x - mean) / scale, (test_x - mean) / scale
    targets = 2 * labels - 1
    dual = np.linalg.solve(x @ x.T + 3000 * np.eye(len(x)), targets)
    accuracy = np.mean((test_x @ (x.T @ dual) > 0) == (test_labels == 1))
    assert accuracy >= 0.83  # 0.86; a standard error is 0.017
