from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import TokenMask
from tests.any_backend import to_tensor
from tests.layer_checks import check_layer

pytestmark = pytest.mark.any_backend


def test_mask(tmp_path: Path) -> None:
    ids = batch_to_character_ids([["a", "b"], ["c"], []])
    mask = check_layer(TokenMask(), to_tensor(ids), tmp_path)
    np.testing.assert_array_equal(mask, [[True, True], [True, False], [False, False]])
