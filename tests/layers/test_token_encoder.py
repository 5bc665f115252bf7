from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import TokenEncoder
from tests.any_backend import to_numpy, to_tensor
from tests.layer_checks import check_layer

pytestmark = pytest.mark.any_backend


def test_convolution_by_hand() -> None:
    """One filter of width 2 over embeddings of size 1, no highway, no projection."""
    layer = TokenEncoder(1, [(2, 1)], char_dim=1, n_highway=0, activation="relu")
    layer.build((None, None, 4))
    layer.char_embedding.assign(np.arange(1, 262)[:, None])  # the row of id i holds i
    (kernel, bias), *_ = layer.convolutions
    kernel.assign([[[1.0]], [[10.0]]])
    bias.assign([-600.0])
    # Windows (259, 3), (3, 260), (260, 261): 289, 2603, 2870.
    vectors = layer(np.array([[[259, 3, 260, 261]]]))
    np.testing.assert_allclose(to_numpy(vectors), [[[2270.0]]])
    bias.assign([-3000.0])
    vectors = layer(np.array([[[259, 3, 260, 261]]]))
    np.testing.assert_allclose(to_numpy(vectors), [[[0.0]]])


def test_id_0_is_a_zero_vector() -> None:
    layer = TokenEncoder(1, [(1, 1)], char_dim=1, n_highway=0)
    layer.build((None, None, 3))
    layer.char_embedding.assign(-np.ones((261, 1)))
    (kernel, bias), *_ = layer.convolutions
    kernel.assign([[[1.0]]])
    bias.assign([5.0])
    vectors = layer(np.array([[[7, 7, 7], [7, 0, 7]]]))
    np.testing.assert_allclose(to_numpy(vectors), [[[4.0], [5.0]]])


def test_highway_and_projection_by_hand() -> None:
    layer = TokenEncoder(2, [(1, 1)], char_dim=1, n_highway=1)
    layer.build((None, None, 3))
    (kernel, bias), *_ = layer.convolutions
    kernel.assign([[[0.0]]])
    bias.assign([3.0])  # whatever the characters, x = 3
    highway = layer.highways[0]
    highway.carry_kernel.assign([[1.0]])
    highway.carry_bias.assign([-3.0])  # gate: sigmoid(0) = 1/2
    highway.transform_kernel.assign([[2.0]])
    highway.transform_bias.assign([1.0])  # relu(7)
    layer.projection.kernel.assign([[1.0, -2.0]])
    layer.projection.bias.assign([0.0, 1.0])
    # y = 7 / 2 + 3 / 2 = 5
    vectors = layer(np.array([[[1, 2, 3]]]))
    np.testing.assert_allclose(to_numpy(vectors), [[[5.0, -9.0]]])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_layer(tmp_path: Path, activation: str) -> None:
    layer = TokenEncoder(3, [(1, 2), (3, 4)], char_dim=2, activation=activation)
    ids = to_tensor(batch_to_character_ids([["a", "bc"], ["bc"]]))
    vectors = check_layer(layer, ids, tmp_path)
    assert vectors.shape == (2, 2, 3)
    np.testing.assert_allclose(vectors[0, 1], vectors[1, 0], atol=1e-7)
    np.testing.assert_array_equal(layer(ids)._keras_mask, [[True, True], [True, False]])


def test_projection_is_absent_where_the_filters_fit() -> None:
    layer = TokenEncoder(6, [(1, 2), (3, 4)], char_dim=2, n_highway=0)
    layer.build((None, None, 50))
    assert layer.projection is None
    assert [tuple(v.shape) for v in layer.weights] == [
        (261, 2),
        (1, 2, 2),
        (2,),
        (3, 2, 4),
        (4,),
    ]


@pytest.mark.parametrize("shape", [(0, 3, 50), (2, 0, 50)])
def test_no_tokens(shape: tuple[int, ...]) -> None:
    layer = TokenEncoder(3, [(1, 2), (3, 4)], char_dim=2)
    assert layer(np.zeros(shape, np.int32)).shape == (*shape[:2], 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"projection_dim": 0}, "projection_dim must be a positive integer; got 0"),
        ({"char_dim": -1}, "char_dim must be a positive integer; got -1"),
        ({"activation": "gelu"}, "activation must be one of 'relu', 'tanh'; got 'gelu'"),
    ],
)
def test_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenEncoder(**{"projection_dim": 4, "filters": [(1, 2)], **arguments})


def test_initial_values_are_bilm_tfs() -> None:
    layer = TokenEncoder(64, [(1, 400), (2, 400)], n_highway=1)
    layer.build((None, None, 50))
    for variable, low, high in [
        (layer.char_embedding, -1, 1),
        (layer.convolutions[0][0], -0.05, 0.05),
    ]:
        values = to_numpy(variable)
        assert low <= values.min() < 0.9 * low
        assert 0.9 * high < values.max() <= high
    highway = layer.highways[0]
    np.testing.assert_array_equal(
        to_numpy(highway.carry_bias), np.full(800, -2, np.float32)
    )
    assert np.std(to_numpy(highway.carry_kernel)) == pytest.approx(800**-0.5, rel=0.05)
    assert np.std(to_numpy(layer.projection.kernel)) == pytest.approx(800**-0.5, rel=0.05)
