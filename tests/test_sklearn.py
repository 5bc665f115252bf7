"""The layer in scikit-learn's pipelines."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, tokenize
from keras_elmo.sklearn import ElmoVectorizer
from tests.any_backend import BACKEND
from tests.tiny_models import LEAST

pytestmark = pytest.mark.any_backend

TEXTS = [
    "It's good.",
    "Not (so) bad!",
    "",
    "Really awful...",
    "The best film!",
    "Awful, bad",
]
LABELS = np.array([1, 1, 0, 0, 1, 0])
MODE: Any = "sentences" if BACKEND == "tensorflow" else "character_ids"


def expected(layer: ElmoEmbeddingLayer) -> np.ndarray:
    return np.asarray(layer.encode([tokenize(text) for text in TEXTS], verbose=0))


class OfNumbers(ElmoVectorizer):
    """Takes numbers as words, because scikit-learn's checks know only tables of numbers."""

    def transform(self, X: Any) -> Any:  # noqa: N803
        return super().transform([list(map(str, row)) for row in np.asarray(X).tolist()])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.no_validation = True
        return tags


@pytest.mark.slow
def test_by_scikit_learn(source: str) -> None:
    failures = {
        "check_estimator_sparse_tag": "fit does not look at what it is given",
        "check_transformer_general": "texts may have any number of words",
    }
    results = check_estimator(
        OfNumbers(source), on_skip=None, expected_failed_checks=failures
    )
    passed = {r["check_name"] for r in results if r["status"] == "passed"}
    assert len(passed) > 25
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == {*failures}


def test_vectors(source: str, tmp_path: Path) -> None:
    vectors = ElmoVectorizer(source).fit_transform(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((6, 16), np.float32)
    layer = ElmoEmbeddingLayer(source, "default", MODE)
    np.testing.assert_allclose(vectors, expected(layer), rtol=0, atol=1e-6)
    # Of each layer, from a layer with another output; of a column of a table.
    by_layer = ElmoVectorizer(layer, output_mode="pooled_layers", max_tokens=2).fit()
    table = pandas.DataFrame({"text": TEXTS})
    found = by_layer.transform(table["text"])
    cut = ElmoEmbeddingLayer(source, "pooled_layers", MODE, max_tokens=2)
    np.testing.assert_allclose(found, expected(cut).reshape(6, 48), rtol=0, atol=1e-6)
    split = [ElmoVectorizer(layer, split=split).fit() for split in ("space", "character")]
    for vectorizer, tokens in zip(split, (["a.b", "c"], ["a", ".", "b", "c"]), strict=True):
        vectors = vectorizer.transform(["a.b c"])
        same = layer.encode([tokens], verbose=0)
        np.testing.assert_allclose(vectors, same, rtol=0, atol=1e-6)


def test_names_and_tables(source: str) -> None:
    vectorizer = ElmoVectorizer(source).set_output(transform="pandas")
    table = vectorizer.fit_transform(TEXTS)
    assert list(table.columns) == [f"elmovectorizer{i}" for i in range(16)]
    assert list(vectorizer.get_feature_names_out()) == list(table.columns)
    np.testing.assert_array_equal(
        table, vectorizer.set_output(transform="default").transform(TEXTS)
    )


@pytest.mark.parametrize("kind", ["path", "layer", "other mode", "config"])
def test_clones_and_pickles(kind: str, source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "default", MODE)
    given: Any = {"path": source, "config": LEAST}.get(kind, layer)
    mode: Any = "pooled_layers" if kind == "other mode" else "default"
    vectorizer = ElmoVectorizer(given, mode, verbose=0)
    again = clone(vectorizer)
    assert again.get_params().keys() == vectorizer.get_params().keys()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        pickle.loads(pickle.dumps(vectorizer)).transform(TEXTS)
    found = vectorizer.fit_transform(TEXTS)
    pickled = pickle.dumps(vectorizer)
    assert (len(pickled) < 1000) == (kind == "path")
    loaded = pickle.loads(pickled)
    np.testing.assert_allclose(loaded.transform(TEXTS), found, rtol=0, atol=1e-6)
    if kind != "config":  # whose weights are random
        np.testing.assert_allclose(again.fit_transform(TEXTS), found, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_search_in_processes(source: str) -> None:
    model = make_pipeline(ElmoVectorizer(source), LogisticRegression())
    grid = {"elmovectorizer__split": ["words", "space"], "logisticregression__C": [1, 9]}
    search = GridSearchCV(model, grid, n_jobs=2, cv=2).fit(TEXTS, LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(TEXTS).shape == (6,)


def test_a_pipeline() -> None:
    model = make_pipeline(ElmoVectorizer("mini"), LogisticRegression())
    assert model.fit(TEXTS, LABELS).score(TEXTS, LABELS) > 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_mode": "elmo"}, "output_mode must be one of 'default', 'pooled_layers'"),
        ({"split": "letters"}, "split must be one of 'space', 'words', 'character'; got"),
        ({"max_tokens": 0}, "max_tokens must be a positive integer; got 0"),
        ({"batch_size": 0}, "batch_size must be a positive integer; got 0"),
        (
            {"source": ElmoEmbeddingLayer(LEAST, "pooled_layers", MODE)},
            "needs a layer with a mix .* got output_mode='pooled_layers'",
        ),
    ],
)
def test_refuses(arguments: dict[str, Any], message: str) -> None:
    config: ElmoConfig = LEAST
    with pytest.raises(ValueError, match=message):
        ElmoVectorizer(**{"source": config, **arguments}).fit_transform(TEXTS)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "keras_elmo.sklearn")
    with pytest.raises(ImportError, match=r"needs scikit-learn, .* pip install scikit-"):
        import keras_elmo.sklearn  # noqa: F401
