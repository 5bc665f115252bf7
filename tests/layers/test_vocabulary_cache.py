from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.layers.vocabulary_cache import VocabularyCache
from tests.tiny_models import LEAST, TINY, random_arrays, saved_model

SENTENCES = ["the cat sat on the mat", "", "a café", "the dogs"]
WORDS = ["the", "cat", "café", "the", "unused"]


@pytest.fixture
def layer() -> ElmoEmbeddingLayer:
    keras.utils.set_random_seed(0)
    return ElmoEmbeddingLayer(TINY, "elmo")


@pytest.fixture
def least() -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(LEAST, "elmo")


@pytest.fixture(scope="module")
def word_layer() -> ElmoEmbeddingLayer:
    return ElmoEmbeddingLayer(TINY, "word_emb")


def tripled(layer: ElmoEmbeddingLayer) -> None:
    """Makes cached vectors wrong, to show where they are used."""
    layer.vocabulary_cache.vectors.assign(layer.vocabulary_cache.vectors * 3)


def model_of(layer: ElmoEmbeddingLayer) -> keras.Model:
    text = keras.Input((), dtype="string")
    return keras.Model(text, layer(text))


def test_is_exact_and_used(layer: ElmoEmbeddingLayer) -> None:
    expected = layer(SENTENCES)
    layer.cache_vocabulary(WORDS)
    assert layer.vocabulary_cache.words == (b"the", b"cat", "café".encode(), b"unused")
    np.testing.assert_allclose(layer(SENTENCES), expected, atol=1e-6)
    tripled(layer)
    changed = np.abs(layer(SENTENCES) - expected).max(axis=(1, 2)) > 1e-3
    assert changed.tolist() == [True, False, True, True]


@pytest.mark.parametrize("mode", ["word_emb", "layers", "pooled_layers"])
def test_in_every_path(mode: str) -> None:
    for dtype, atol in (("float32", 1e-6), ("mixed_float16", 2e-3)):
        layer = ElmoEmbeddingLayer(TINY, mode, "tokens", dtype=dtype)
        tokens = [["the", "", "cat"], ["New York", "the", "the"]]
        expected = layer(tokens)
        layer.cache_vocabulary(["New York", "cat"])
        assert layer(tokens).dtype == expected.dtype
        np.testing.assert_allclose(layer(tokens), expected, atol=atol)


@given(st.sets(st.sampled_from(["the", "cat", "sat", "on", "mat", "a", "café"])))
def test_any_vocabulary(word_layer: ElmoEmbeddingLayer, words: set[str]) -> None:
    word_layer.cache_vocabulary([])
    expected = word_layer(SENTENCES)
    word_layer.cache_vocabulary(words)
    np.testing.assert_allclose(word_layer(SENTENCES), expected, atol=1e-6)


def test_a_traced_model_follows_the_cache(least: ElmoEmbeddingLayer) -> None:
    least.cache_vocabulary(["unused"])
    model = model_of(least)
    texts = np.array(SENTENCES, dtype=object)
    expected = model.predict(texts, verbose=0)
    least.cache_vocabulary(WORDS)
    tripled(least)
    assert np.abs(model.predict(texts, verbose=0) - expected).max() > 1e-3
    least.cache_vocabulary([])
    np.testing.assert_allclose(model.predict(texts, verbose=0), expected, atol=1e-6)


def test_more_words_than_are_encoded_at_once(
    layer: ElmoEmbeddingLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_elmo.layers.vocabulary_cache._WORDS_AT_ONCE", 2)
    expected = layer(SENTENCES)
    layer.cache_vocabulary(WORDS)
    np.testing.assert_allclose(layer(SENTENCES), expected, atol=1e-6)


def test_is_saved(least: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    texts = tf.constant(SENTENCES)
    least.cache_vocabulary(WORDS)
    model = model_of(least)
    expected = model(texts)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    (copy,) = (x for x in loaded.layers if isinstance(x, ElmoEmbeddingLayer))
    assert copy.vocabulary_cache.words == least.vocabulary_cache.words
    np.testing.assert_array_equal(
        copy.vocabulary_cache.vectors, least.vocabulary_cache.vectors
    )
    np.testing.assert_allclose(loaded(texts), expected, atol=1e-6)
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(served.serve(texts), expected, atol=1e-6)


def test_weights_come_with_their_own_cache(
    layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    other = ElmoEmbeddingLayer(TINY, "elmo")
    other_model, model = model_of(other), model_of(layer)
    other_model.save_weights(tmp_path / "without.weights.h5")
    layer.cache_vocabulary(WORDS)
    model.load_weights(tmp_path / "without.weights.h5")
    assert layer.vocabulary_cache.words == ()
    np.testing.assert_allclose(layer(SENTENCES), other(SENTENCES), atol=1e-6)


def test_other_weights_drop_it(layer: ElmoEmbeddingLayer) -> None:
    layer.cache_vocabulary(WORDS)
    layer.use_arrays(random_arrays(TINY))
    assert layer.vocabulary_cache.words == ()


def test_training_the_encoder_drops_it(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(saved_model(tmp_path), "elmo", fine_tune="all")
    with pytest.raises(ValueError, match="the token encoder is trainable, so that its"):
        layer.cache_vocabulary(WORDS)
    model = model_of(layer)
    model.trainable = False
    layer.cache_vocabulary(WORDS)
    assert layer.vocabulary_cache.words
    model.trainable = True
    assert layer.vocabulary_cache.words == ()


def test_no_weights_of_the_layer(layer: ElmoEmbeddingLayer) -> None:
    before = [w.path for w in layer.weights]
    layer.cache_vocabulary(WORDS)
    assert [w.path for w in layer.weights] == before


def test_config_is_that_of_an_empty_one() -> None:
    cache = VocabularyCache(3)
    cache.fill(["a"], lambda words: np.ones((1 + len(words) + 1, 3), np.float32))
    assert cache.words == (b"a",)
    copy = VocabularyCache.from_config(cache.get_config())
    assert copy.projection_dim == 3
    assert copy.words == ()


def test_refuses(layer: ElmoEmbeddingLayer) -> None:
    with pytest.raises(TypeError, match="words must be a list of strings; got one string"):
        layer.cache_vocabulary("the cat")
    with pytest.raises(TypeError, match="words must hold strings; got 3 of type int"):
        layer.cache_vocabulary(["the", 3])
    assert layer.vocabulary_cache.words == ()
    by_ids = ElmoEmbeddingLayer(TINY, input_mode="character_ids")
    with pytest.raises(ValueError, match=r"needs engine='native' and strings as input"):
        by_ids.cache_vocabulary(["the"])
