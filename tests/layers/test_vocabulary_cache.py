"""Cached token vectors: exact, used, saved, and dropped when they are no longer true."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.layers.vocabulary_cache import VocabularyCache
from tests.any_backend import model_of, reloaded
from tests.tiny_models import LEAST, TINY, random_arrays

SENTENCES = ["the cat sat on the mat", "", "a café", "the dogs"]
TEXTS = tf.constant(SENTENCES)
WORDS = ["the", "cat", "café", "the", "unused"]


@pytest.fixture
def layer() -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(LEAST, "elmo")


@pytest.fixture(scope="module")
def word_layer() -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(TINY, "word_emb")


def tripled(layer: ElmoEmbeddingLayer) -> None:
    """Makes cached vectors wrong, to show where they are used."""
    table = layer.vocabulary_cache.table
    words, vectors = table.export()
    table.insert(words, vectors * 3)


@pytest.mark.parametrize("words_at_once", [2, 2048])
def test_is_exact_and_used_and_no_weight(
    layer: ElmoEmbeddingLayer, monkeypatch: pytest.MonkeyPatch, words_at_once: int
) -> None:
    monkeypatch.setattr("keras_elmo.layers.vocabulary_cache._WORDS_AT_ONCE", words_at_once)
    expected, weights = layer(SENTENCES), [w.path for w in layer.weights]
    layer.cache_vocabulary(WORDS)
    known = [word.decode() for word in layer.vocabulary_cache.words]
    assert known == ["café", "cat", "the", "unused"]
    assert [w.path for w in layer.weights] == weights
    np.testing.assert_allclose(layer(SENTENCES), expected, atol=1e-6)
    tripled(layer)
    changed = np.abs(layer(SENTENCES) - expected).max(axis=(1, 2)) > 1e-3
    assert changed.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    ("mode", "dtype", "atol"),
    [("layers", "float32", 1e-6), ("word_emb", "mixed_float16", 2e-3)],
)
def test_in_every_path(mode: str, dtype: str, atol: float) -> None:
    layer = ElmoEmbeddingLayer(TINY, mode, "tokens", dtype=dtype)
    tokens = [["the", "", "cat"], ["New York", "the", "the"]]
    expected = layer(tokens)
    layer.cache_vocabulary(["New York", "cat"])
    assert layer(tokens).dtype == expected.dtype
    np.testing.assert_allclose(layer(tokens), expected, atol=atol)


@settings(max_examples=15)
@given(st.sets(st.sampled_from(["the", "cat", "sat", "on", "mat", "a", "café"])))
def test_any_vocabulary(word_layer: ElmoEmbeddingLayer, words: set[str]) -> None:
    word_layer.cache_vocabulary([])
    expected = word_layer(SENTENCES)
    word_layer.cache_vocabulary(words)
    np.testing.assert_allclose(word_layer(SENTENCES), expected, atol=1e-6)


def test_a_traced_model_follows_the_cache(layer: ElmoEmbeddingLayer) -> None:
    layer.cache_vocabulary(["unused"])
    model = model_of(layer)
    expected = model.predict(TEXTS, verbose=0)
    layer.cache_vocabulary(WORDS)
    tripled(layer)
    assert np.abs(model.predict(TEXTS, verbose=0) - expected).max() > 1e-3
    layer.cache_vocabulary([])
    np.testing.assert_allclose(model.predict(TEXTS, verbose=0), expected, atol=1e-6)


@pytest.mark.slow
def test_is_replaced_while_others_call(word_layer: ElmoEmbeddingLayer) -> None:
    """No call sees half of a vocabulary, or words of one and vectors of another."""
    word_layer.cache_vocabulary([])
    model, expected = model_of(word_layer), word_layer(SENTENCES)
    vocabularies = [["the", "sat"], WORDS, [], ["mat", *WORDS[::-1]], ["a", "dogs"]]
    stop = threading.Event()

    def call(run: Callable[[tf.Tensor], Any]) -> int:
        n_calls = 0
        while not stop.is_set():
            np.testing.assert_allclose(run(TEXTS), expected, atol=1e-6)
            n_calls += 1
        return n_calls

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(call, run) for run in (word_layer, model.predict_on_batch) * 2]
        for i in range(60):
            word_layer.cache_vocabulary(vocabularies[i % len(vocabularies)])
        stop.set()
        assert all(each.result(timeout=60) > 0 for each in calls)


def test_is_saved(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    layer.cache_vocabulary(WORDS)
    model = model_of(layer)
    expected = model(TEXTS)
    loaded = reloaded(model, tmp_path)
    cache = loaded.layers[-1].vocabulary_cache
    assert cache.words == layer.vocabulary_cache.words
    words = tf.constant(cache.words)
    vectors = [c.table.lookup(words) for c in (cache, layer.vocabulary_cache)]
    np.testing.assert_array_equal(*vectors)
    np.testing.assert_allclose(loaded(TEXTS), expected, atol=1e-6)


def test_other_weights_drop_it(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    other = ElmoEmbeddingLayer(LEAST, "elmo")
    model_of(other).save_weights(tmp_path / "without.weights.h5")
    model = model_of(layer)
    layer.cache_vocabulary(WORDS)
    model.load_weights(tmp_path / "without.weights.h5")
    assert layer.vocabulary_cache.words == []
    np.testing.assert_allclose(layer(SENTENCES), other(SENTENCES), atol=1e-6)
    layer.cache_vocabulary(WORDS)
    layer.use_arrays(random_arrays(LEAST))
    assert layer.vocabulary_cache.words == []


def test_training_the_encoder_drops_it() -> None:
    layer = ElmoEmbeddingLayer(LEAST, "elmo", fine_tune="all")
    with pytest.raises(ValueError, match="the token encoder is trainable, so its"):
        layer.cache_vocabulary(WORDS)
    model = model_of(layer)
    model.trainable = False
    layer.cache_vocabulary(WORDS)
    assert layer.vocabulary_cache.words
    model.trainable = True
    assert layer.vocabulary_cache.words == []


def test_config_is_that_of_an_empty_one() -> None:
    cache = VocabularyCache(3)
    cache.fill(["a"], lambda words: np.ones((1 + len(words) + 1, 3), np.float32))
    copy = VocabularyCache.from_config(cache.get_config())
    assert (copy.projection_dim, cache.words, copy.words) == (3, [b"a"], [])


def test_refuses(layer: ElmoEmbeddingLayer) -> None:
    with pytest.raises(TypeError, match="words must be a list of strings; got the string"):
        layer.cache_vocabulary("the cat")
    with pytest.raises(TypeError, match="words must hold strings; got 3 of type int"):
        layer.cache_vocabulary(["the", 3])
    assert layer.vocabulary_cache.words == []
    by_ids = ElmoEmbeddingLayer(LEAST, input_mode="character_ids")
    with pytest.raises(ValueError, match=r"needs engine='native' and strings as input"):
        by_ids.cache_vocabulary(["the"])
