from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import ElmoBiLM
from keras_elmo.weights.assign import assign_arrays, variables_by_name
from tests.any_backend import to_numpy, to_tensor
from tests.layer_checks import check_layer
from tests.numpy_elmo import NumpyElmo
from tests.tiny_models import TINY, random_arrays

pytestmark = pytest.mark.any_backend

TOKENS = [["the", "cat"], ["a"]]


@pytest.mark.parametrize("depth", [0, 1, 2, None])
def test_layers(tmp_path: Path, depth: int | None) -> None:
    layer = ElmoBiLM(TINY, depth)
    layer.build((None, None, 50))
    assign_arrays(variables_by_name(layer), random_arrays(TINY))
    ids = to_tensor(batch_to_character_ids(TOKENS))
    layers = check_layer(layer, ids, tmp_path)
    n_layers = 3 if depth is None else depth + 1
    reference = NumpyElmo(TINY, random_arrays(TINY))
    for row, tokens in enumerate(TOKENS):
        expected = reference.layers([t.encode() for t in tokens])[1:-1, :n_layers]
        np.testing.assert_allclose(layers[row, : len(tokens)], expected, atol=1e-5)
    assert not layers[1, 1].any()


@pytest.mark.parametrize(
    ("fine_tune", "trained"), [("aggregation", 0), ("lstm", 12), ("all", 29)]
)
def test_fine_tune(fine_tune: str, trained: int) -> None:
    layer = ElmoBiLM(TINY, fine_tune=fine_tune)
    layer(batch_to_character_ids(TOKENS))
    assert len(layer.trainable_variables) == trained
    layer.trainable = False
    assert layer.trainable_variables == []
    layer.trainable = True
    assert len(layer.trainable_variables) == trained


def test_kernel_initializer() -> None:
    layer = ElmoBiLM(TINY, kernel_initializer="zeros")
    layer.build((None, None, 50))
    for name, variable in variables_by_name(layer).items():
        if name.endswith(("W_0", "W_P_0")):
            assert not to_numpy(variable).any()


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"fine_tune must be one of .*; got 'mix'"):
        ElmoBiLM(TINY, fine_tune="mix")
    with pytest.raises(ValueError, match="stateful needs to know the batch size"):
        ElmoBiLM(dataclasses.replace(TINY), stateful=True).build((None, None, 50))
