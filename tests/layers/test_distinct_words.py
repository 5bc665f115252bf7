from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.layers.distinct_words import distinct_words


def test_by_hand() -> None:
    tokens = tf.constant([["a", "b", "a"], ["c", "", "b"]])
    words, places = distinct_words(tokens)
    assert words.numpy().tolist() == [b"a", b"b", b"c", b""]
    assert places.numpy().tolist() == [[0, 1, 0], [2, 3, 1]]
    assert places.dtype == tf.int32
    assert places.shape == (2, 3)


@given(st.lists(st.lists(st.binary(max_size=3), min_size=2, max_size=2), max_size=9))
def test_gives_the_tokens_back(rows: list[list[bytes]]) -> None:
    tokens = np.array(rows, dtype=object).reshape(-1, 2)
    words, places = distinct_words(tf.constant(tokens, tf.string))
    found = words.numpy()
    assert len(set(found.tolist())) == len(found)
    np.testing.assert_array_equal(found[places.numpy()], tokens)


def test_static_shape_stays() -> None:
    @tf.function(input_signature=[tf.TensorSpec((4, None), tf.string)])
    def places(tokens: tf.Tensor) -> tf.Tensor:
        found = distinct_words(tokens)[1]
        assert found.shape.as_list() == [4, None]
        return found

    assert places(tf.fill([4, 2], "a")).numpy().tolist() == [[0, 0]] * 4
