from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo.layers import BidirectionalLM
from tests.any_backend import to_numpy, to_tensor
from tests.layer_checks import check_layer

pytestmark = pytest.mark.any_backend

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(2, 6, 4)).astype(np.float32)


def bilm(**arguments: object) -> BidirectionalLM:
    return BidirectionalLM(2, 5, 4, use_skip_connections=True, **arguments)


def test_layer(tmp_path: Path) -> None:
    layer = bilm()
    layers = check_layer(layer, to_tensor(VECTORS), tmp_path)
    assert layers.shape == (2, 4, 3, 8)
    np.testing.assert_array_equal(layers[:, :, 0, :4], VECTORS[:, 1:-1])
    np.testing.assert_array_equal(layers[:, :, 0, 4:], VECTORS[:, 1:-1])


def test_directions_are_plain_rnns_with_a_skip() -> None:
    layer = bilm(return_boundaries=True)
    layers = to_numpy(layer(VECTORS))
    for lstms, part, flip in [
        (layer.forward_lstms, slice(0, 4), 1),
        (layer.backward_lstms, slice(4, 8), -1),
    ]:
        x = VECTORS[:, ::flip]
        for k, lstm in enumerate(lstms, start=1):
            rnn = keras.layers.RNN(lstm.cell, return_sequences=True)
            x = to_numpy(rnn(x)) + (x if k > 1 else 0)
            np.testing.assert_allclose(layers[:, ::flip, k, part], x, atol=1e-6)


def test_boundaries_on_request() -> None:
    layer = bilm(return_boundaries=True)
    with_boundaries = layer(VECTORS)
    layer.return_boundaries = False
    inner = to_numpy(with_boundaries)[:, 1:-1]
    np.testing.assert_array_equal(to_numpy(layer(VECTORS)), inner)


@pytest.mark.parametrize("return_boundaries", [False, True])
def test_masked_steps_might_as_well_not_be_there(return_boundaries: bool) -> None:
    layer = bilm(return_boundaries=return_boundaries)
    inner = slice(None) if return_boundaries else slice(1, -1)
    whole = np.array([True, False, True, True, False, True])
    steps = np.flatnonzero(whole)
    without = to_numpy(layer(VECTORS[:, steps]))
    masked = layer(VECTORS, mask=to_tensor(np.stack([whole, whole])))
    np.testing.assert_array_equal(
        to_numpy(masked._keras_mask), np.stack([whole, whole])[:, inner]
    )
    np.testing.assert_allclose(to_numpy(masked)[:, whole[inner]], without, atol=1e-6)
    assert not to_numpy(masked)[:, ~whole[inner]].any()


def test_state_continues_a_sequence() -> None:
    """Forward, two halves in a row are the whole."""
    layer = bilm(return_boundaries=True, return_state=True)
    whole, states = layer(VECTORS)
    first, middle = layer(VECTORS[:, :3])
    second, end = layer(VECTORS[:, 3:], initial_state=middle)
    forward = np.concatenate([to_numpy(first), to_numpy(second)], axis=1)[..., :4]
    np.testing.assert_allclose(forward, to_numpy(whole)[..., :4], atol=1e-6)
    assert [tuple(s.shape) for s in states] == [(2, 4), (2, 5)] * 4
    for k in (0, 1, 4, 5):  # the forward h and c of both layers
        np.testing.assert_allclose(to_numpy(end[k]), to_numpy(states[k]), atol=1e-6)


def test_state_in_a_functional_model() -> None:
    inputs = keras.Input((None, 4))
    layer = bilm(return_state=True)
    model = keras.Model(inputs, layer(inputs))
    layers, *states = keras.tree.flatten(model(VECTORS))
    expected, expected_states = layer(VECTORS)
    np.testing.assert_allclose(to_numpy(layers), to_numpy(expected), atol=1e-6)
    for state, expected_state in zip(states, expected_states, strict=True):
        np.testing.assert_allclose(to_numpy(state), to_numpy(expected_state), atol=1e-6)


def test_refuses_vectors_of_another_size() -> None:
    with pytest.raises(ValueError, match="vectors of size projection_dim = 4; got shape"):
        bilm()(np.ones((1, 3, 5)))
    with pytest.raises(ValueError, match="n_layers must be a positive integer; got 0"):
        BidirectionalLM(0, 5, 4)
