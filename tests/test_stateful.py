from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer

BATCHES = [["the river bank", "a b"], ["", "c"], ["more words than before", "d e"]]


def test_state_is_kept_and_reset(source: str) -> None:
    stateful = ElmoEmbeddingLayer(source, "elmo", stateful=True)
    stateless = ElmoEmbeddingLayer(source, "elmo")
    first = [stateful(batch).numpy() for batch in BATCHES]
    np.testing.assert_allclose(first[0], stateless(BATCHES[0]), atol=1e-6)
    assert np.abs(first[1][1, 0] - stateless(BATCHES[1]).numpy()[1, 0]).max() > 1e-3
    stateful.reset_state()
    for batch, expected in zip(BATCHES, first, strict=True):
        np.testing.assert_array_equal(stateful(batch), expected)


def test_rows_are_their_own(source: str) -> None:
    """A row's state does not depend on the other rows, and small batches use the first."""
    both = ElmoEmbeddingLayer(source, "elmo", stateful=True)
    one = ElmoEmbeddingLayer(source, "elmo", stateful=True)
    both(BATCHES[0])
    one(BATCHES[0][:1])
    np.testing.assert_allclose(both(["next"]), one(["next"]), atol=1e-6)
    second = both(["next", "of b"]).numpy()[1]
    fresh = ElmoEmbeddingLayer(source, "elmo", stateful=True)
    fresh(BATCHES[0])
    np.testing.assert_allclose(fresh(["", "of b"]).numpy()[1], second, atol=1e-6)


def test_padding_does_not_touch_the_state(source: str) -> None:
    layers = [
        ElmoEmbeddingLayer(source, "elmo", "tokens", stateful=True, name=f"elmo_{k}")
        for k in range(2)
    ]
    layers[0]([["a", "b"]])
    layers[1]([["", "a", "", "", "b", ""]])
    np.testing.assert_allclose(layers[0]([["c"]]), layers[1]([["c"]]), atol=1e-6)


def test_in_predict(source: str) -> None:
    inputs = keras.Input(batch_shape=(2,), dtype="string")
    layer = ElmoEmbeddingLayer(source, stateful=True)
    model = keras.Model(inputs, layer(inputs))
    eager = ElmoEmbeddingLayer(source, stateful=True)
    for batch in BATCHES:
        predicted = model.predict(tf.constant(batch), verbose=0)
        np.testing.assert_allclose(predicted, eager(batch), atol=1e-6)
    layer.reset_state()
    eager.reset_state()
    np.testing.assert_allclose(
        model.predict(tf.constant(BATCHES[0]), verbose=0), eager(BATCHES[0]), atol=1e-6
    )


def test_the_state_is_not_trained(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, stateful=True, fine_tune="all")
    layer(BATCHES[0])
    assert not any("state" in v.path for v in layer.trainable_variables)
    assert len([v for v in layer.non_trainable_variables if "state" in v.path]) == 8


def test_word_vectors_have_no_state(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "word_emb", stateful=True)
    np.testing.assert_array_equal(layer(["a b"]), layer(["a b"]))
    layer.reset_state()


def test_refuses_an_unknown_batch_size(source: str) -> None:
    with pytest.raises(ValueError, match=r"stateful needs to know the batch size"):
        ElmoEmbeddingLayer(source, stateful=True)(keras.Input((), dtype="string"))


def test_refuses_a_larger_batch(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, stateful=True)
    layer(["a"])
    with pytest.raises(ValueError, match="built for batches of up to 1 rows; got 2"):
        layer(["a", "b"])
    inputs = keras.Input(batch_shape=(1,), dtype="string")
    model = keras.Model(inputs, ElmoEmbeddingLayer(source, stateful=True)(inputs))
    with pytest.raises(tf.errors.InvalidArgumentError, match="batches of up to 1 rows"):
        model.predict(tf.constant(["a", "b"]), verbose=0)
    with pytest.raises(ValueError, match="stateful must be True, False or 'pieces'; got 1"):
        ElmoEmbeddingLayer(source, stateful=1)
