"""The token encoder by hand, its initial values, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from keras_elmo import batch_to_character_ids
from keras_elmo.layers import SentenceBoundaries, TokenEncoder
from tests.any_backend import to_numpy, to_tensor

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("kernel", "bias", "ids", "expected"),
    [
        # Windows (259, 3), (3, 260), (260, 261): 289, 2603, 2870.
        ([1.0, 10.0], -600.0, [[259, 3, 260, 261]], [2270.0]),
        ([1.0, 10.0], -3000.0, [[259, 3, 260, 261]], [0.0]),
        # Id 0 is a zero vector.
        ([-1.0], 10.0, [[7, 7, 7], [7, 0, 7]], [3.0, 10.0]),
    ],
)
def test_convolution_by_hand(
    kernel: list[float], bias: float, ids: list[list[int]], expected: list[float]
) -> None:
    """Embeddings of size 1, where the row of id i holds i; no projection."""
    layer = TokenEncoder(1, [(len(kernel), 1)], char_dim=1, n_highway=0)
    layer.build((None, None, 4))
    layer.char_embedding.assign(np.arange(1, 262)[:, None])
    layer.convolutions[0][0].assign(np.reshape(kernel, (-1, 1, 1)))
    layer.convolutions[0][1].assign([bias])
    assert layer.projection is None
    vectors = to_numpy(layer(np.array([ids])))
    np.testing.assert_allclose(vectors[0, :, 0], expected, rtol=1e-6)


def test_words_alone() -> None:
    layer = TokenEncoder(2, (), n_words=3, word_dim=2)
    layer.build((None, None, 1))
    layer.word_embedding.assign([[1, 2], [3, 4], [5, 6]])
    vectors = to_numpy(layer(to_tensor([[[3], [0], [1]]])))
    np.testing.assert_array_equal(vectors, [[[5, 6], [0, 0], [1, 2]]])


def test_mask() -> None:
    layer = TokenEncoder(3, [(1, 2), (3, 4)], char_dim=2)
    vectors = layer(to_tensor(batch_to_character_ids([["a", "bc"], ["bc"]])))
    np.testing.assert_array_equal(vectors._keras_mask, [[True, True], [True, False]])
    np.testing.assert_allclose(to_numpy(vectors)[0, 1], to_numpy(vectors)[1, 0], atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3, 50), (2, 0, 50)])
def test_no_tokens(shape: tuple[int, ...]) -> None:
    layer = TokenEncoder(3, [(1, 2), (3, 4)], char_dim=2)
    assert layer(np.zeros(shape, np.int32)).shape == (*shape[:2], 3)
    bounded = SentenceBoundaries()(np.zeros(shape, np.int32))
    assert bounded.shape == (shape[0], shape[1] + 2, 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"projection_dim": 0}, "projection_dim must be a positive integer; got 0"),
        ({"char_dim": -1}, "char_dim must be a positive integer; got -1"),
        ({"filters": [(1, 0)]}, "filters: a number must be a positive integer; got 0"),
        ({"filters": ()}, "filters and n_words: both are empty"),
        ({"word_dim": 4}, "word_dim must be 0 without n_words; got 4"),
        ({"activation": "gelu"}, "activation must be one of 'relu', 'tanh'; got 'gelu'"),
    ],
)
def test_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TokenEncoder(**{"projection_dim": 4, "filters": [(1, 2)], **arguments})


def test_initial_values_are_bilm_tfs() -> None:
    layer = TokenEncoder(64, [(1, 400), (2, 400)], n_highway=1)
    layer.build((None, None, 50))
    for variable, bound in ((layer.char_embedding, 1), (layer.convolutions[0][0], 0.05)):
        values = to_numpy(variable)
        assert -bound <= values.min() < -0.9 * bound
        assert 0.9 * bound < values.max() <= bound
    highway = layer.highways[0]
    np.testing.assert_array_equal(to_numpy(highway.carry_bias), np.full(800, -2.0))
    for kernel in (highway.carry_kernel, layer.projection.kernel):
        assert np.std(to_numpy(kernel)) == pytest.approx(800**-0.5, rel=0.05)
