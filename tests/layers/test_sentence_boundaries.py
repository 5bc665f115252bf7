from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import SentenceBoundaries
from tests.any_backend import to_tensor
from tests.layer_checks import check_layer

pytestmark = pytest.mark.any_backend


def test_boundaries_are_allennlps(tmp_path: Path) -> None:
    ids = batch_to_character_ids([["a", "b"], ["c"]], 6)
    bounded = check_layer(SentenceBoundaries(), to_tensor(ids), tmp_path)
    expected = batch_to_character_ids(
        [["<S>", "a", "b", "</S>"], ["<S>", "c", "gap", "</S>"]], 6
    )
    expected[1, 2] = 0  # the end stands behind the padding
    np.testing.assert_array_equal(bounded, expected)


def test_no_tokens_and_no_rows() -> None:
    layer = SentenceBoundaries()
    assert layer(np.zeros((2, 0, 6), np.int32)).shape == (2, 2, 6)
    assert layer(np.zeros((0, 3, 6), np.int64)).shape == (0, 5, 6)
    ids = to_tensor(np.zeros((1, 1, 6), np.int16))
    assert keras.backend.standardize_dtype(layer(ids).dtype) == "int16"
