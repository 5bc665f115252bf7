"""The biLM: what it trains, its arrays, and distinct words."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, backends, batch_to_character_ids
from keras_elmo.layers import ElmoBiLM
from keras_elmo.layers.arrays import assign_arrays, collect_arrays, create_from_arrays
from keras_elmo.layers.distinct_words import distinct_words
from tests.any_backend import to_numpy, to_tensor
from tests.tiny_models import TINY, configs, random_arrays

pytestmark = pytest.mark.any_backend

IDS = batch_to_character_ids([["the", "cat", "the"], ["a"]])


@pytest.mark.parametrize(
    ("fine_tune", "trained"), [("aggregation", 0), ("lstm", 16), ("all", 33)]
)
def test_fine_tune(fine_tune: str, trained: int) -> None:
    layer = ElmoBiLM(TINY, fine_tune=fine_tune, kernel_initializer="zeros")
    layer.build((None, None, 50))
    for trainable in (True, False, True):
        layer.trainable = trainable
        assert len(layer.trainable_variables) == trained * trainable
    for cell in layer.lstms.cells:
        for matrix in (cell.kernel, cell.recurrent_kernel, cell.projection_kernel):
            assert not to_numpy(matrix).any()


@settings(max_examples=10)
@given(configs(), st.sampled_from([None, 0, 1]))
def test_arrays_come_back(config: ElmoConfig, depth: int | None) -> None:
    arrays = random_arrays(config)
    created, assigned = (ElmoBiLM(config, depth) for _ in range(2))
    create_from_arrays(created, dict(arrays))
    assigned.build((None, None, config.max_characters_per_token))
    assign_arrays(assigned, arrays)
    for layer in (created, assigned):
        found = collect_arrays(layer)
        assert list(found) == list(config.array_shapes(depth))
        for name, array in found.items():
            np.testing.assert_array_equal(array, arrays[name])
    assert created.get_config() | {"name": ""} == assigned.get_config() | {"name": ""}


# ------------------------------------------------------------------ distinct words


@given(st.lists(st.lists(st.binary(max_size=3), min_size=2, max_size=2), max_size=9))
def test_distinct_words_give_the_tokens_back(rows: list[list[bytes]]) -> None:
    ids = np.zeros((len(rows), 2, 3), np.int32)
    for row, tokens in enumerate(rows):
        for column, token in enumerate(tokens):
            ids[row, column, : len(token)] = [byte + 1 for byte in token]
    words, places = map(to_numpy, distinct_words(to_tensor(ids)))
    there = words[np.any(words, axis=1)]  # on JAX, zeros come after them
    assert len(np.unique(there, axis=0)) == len(there)
    assert places.dtype == np.int32
    np.testing.assert_array_equal(words[places], ids)
    if not backends.is_tensorflow():
        return
    import tensorflow as tf

    tokens = np.array(rows, dtype=object).reshape(-1, 2)
    words, places = map(to_numpy, distinct_words(tf.constant(tokens, tf.string)))
    assert len(set(words.tolist())) == len(words)
    np.testing.assert_array_equal(words[places], tokens)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(4, None), (4, None, 5)])
def test_static_shape_stays(shape: tuple[int | None, ...]) -> None:
    import tensorflow as tf

    dtype = tf.string if len(shape) == 2 else tf.int32

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype)])
    def places(tokens: tf.Tensor) -> tf.Tensor:
        words, found = distinct_words(tokens)
        assert found.shape.as_list() == [4, None]
        assert words.shape.as_list() == [None, *shape[2:]]
        return found

    tokens = tf.zeros([4, 2, *shape[2:]], dtype)
    assert places(tokens).numpy().tolist() == [[0, 0]] * 4


ROWS = st.lists(st.integers(0, 261), min_size=6, max_size=6)


@settings(max_examples=20)
@given(st.lists(ROWS, min_size=2, max_size=6))
def test_any_ids_with_and_without_distinct_words(rows: list[list[int]]) -> None:
    """Also ids that no text has: characters after the end, padding inside a word."""
    layer = ElmoBiLM(dataclasses.replace(TINY, max_characters_per_token=6), 0)
    ids = to_tensor(np.array([rows], np.int32))
    bounded = layer.sentence_boundaries(ids)
    expected = to_numpy(layer.token_encoder(bounded))[0, 1:-1]
    words, places = distinct_words(ids)
    vectors = to_numpy(layer.word_vectors(words))
    np.testing.assert_allclose(vectors[1 + to_numpy(places)[0]], expected, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="chunks are for JAX")
@pytest.mark.parametrize("size", [1, 3, 4, 99])
def test_chunks_of_words_have_the_gradient_of_all(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With long words, repeated ones, and chunks of nothing but padding."""
    import jax

    monkeypatch.setattr("keras_elmo.layers.distinct_words._CHUNK", size)
    layer = ElmoBiLM(TINY, 0)
    layer.build((None, None, 50))
    ids = batch_to_character_ids(
        [["a", "word", "x" * 40, "a", "of"], ["of"], ["y" * 18 + "z", "word"]]
    )
    is_token = ids.any(axis=-1)  # (batch, time)
    weights = np.sin(np.arange(is_token.sum() * 8)).reshape(-1, 8)  # (tokens, 8)

    def loss(values: list[jax.Array], ids: jax.Array, distinct: bool) -> jax.Array:
        with keras.StatelessScope(zip(layer.trainable_variables, values, strict=True)):
            if distinct:
                words, places = distinct_words(ids)
                vectors = layer.word_vectors(words)[1 + places]
            else:
                vectors = layer.token_encoder(layer.sentence_boundaries(ids))[:, 1:-1]
        return (vectors[is_token] * weights).sum()

    values = [variable.value for variable in layer.trainable_variables]
    value_and_gradient = jax.jit(jax.value_and_grad(loss), static_argnums=2)
    expected, expected_gradients = value_and_gradient(values, ids, False)
    found, gradients = value_and_gradient(values, ids, True)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(gradient, other, atol=1e-5 * np.abs(other).max())


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("training", "jit_compile"), [(None, False), (False, False), (False, True)]
)
def test_programs_of_another_runtime_have_no_dynamic_shapes(
    training: bool | None, jit_compile: bool
) -> None:
    """An export has no ``training``; and XLA compiles a program for fixed shapes."""
    import tensorflow as tf

    layer = ElmoBiLM(TINY)
    expected = layer(IDS)
    seen = []

    @tf.function(jit_compile=jit_compile)
    def program(ids: tf.Tensor) -> tf.Tensor:
        result = layer(ids, training=training)
        operations = tf.compat.v1.get_default_graph().get_operations()
        seen.append(any(op.type == "UniqueV2" for op in operations))
        return result

    np.testing.assert_allclose(program(tf.constant(IDS)), expected, atol=1e-6)
    assert seen == [training is not None and not jit_compile]
