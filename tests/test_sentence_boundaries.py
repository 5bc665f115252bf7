from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import SentenceBoundaries
from tests.layer_checks import check_layer


def test_boundaries_are_allennlps(tmp_path: Path) -> None:
    ids = batch_to_character_ids([["a", "b"], ["c"]], 6)
    bounded = check_layer(SentenceBoundaries(), tf.constant(ids), tmp_path)
    expected = batch_to_character_ids(
        [["<S>", "a", "b", "</S>"], ["<S>", "c", "gap", "</S>"]], 6
    )
    expected[1, 2] = 0  # the end stands behind the padding
    np.testing.assert_array_equal(bounded, expected)


def test_no_tokens_and_no_rows() -> None:
    layer = SentenceBoundaries()
    assert layer(np.zeros((2, 0, 6), np.int32)).shape == (2, 2, 6)
    assert layer(np.zeros((0, 3, 6), np.int64)).shape == (0, 5, 6)
    assert layer(np.zeros((1, 1, 6), np.int64)).dtype == tf.int64
