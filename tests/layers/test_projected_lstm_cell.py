from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_elmo.layers import ProjectedLSTMCell
from tests.any_backend import to_numpy, to_tensor

pytestmark = pytest.mark.any_backend


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def one_unit(**arguments: object) -> ProjectedLSTMCell:
    """A cell of one unit that projects to two, with weights that tell the gates apart."""
    cell = ProjectedLSTMCell(1, 2, **arguments)
    cell.build((None, 1))
    # Rows: the input, then h; columns: i, j, f, o.
    cell.kernel.assign([[1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0]])
    cell.bias.assign([0.5, -0.5, 0.25, -0.25])
    cell.projection_kernel.assign([[2.0, -4.0]])
    return cell


def test_a_step_by_hand() -> None:
    h, (h_again, c) = one_unit()(
        np.array([[0.5]]), [np.array([[1.0, 9.0]]), np.array([[2.0]])]
    )
    i, j, f, o = 0.5 + 0.1 + 0.5, 1 + 0.2 - 0.5, 1.5 + 0.3 + 0.25, 2 + 0.4 - 0.25
    expected_c = sigmoid(f + 1) * 2 + sigmoid(i) * math.tanh(j)
    output = sigmoid(o) * math.tanh(expected_c)
    np.testing.assert_allclose(to_numpy(c), [[expected_c]], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(h), [[2 * output, -4 * output]], rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(h), to_numpy(h_again))


def test_clips() -> None:
    cell = one_unit(cell_clip=0.5, projection_clip=0.75)
    h, (_, c) = cell(np.array([[0.5]]), [np.array([[1.0, 9.0]]), np.array([[2.0]])])
    np.testing.assert_array_equal(to_numpy(c), [[0.5]])
    output = sigmoid(2 + 0.4 - 0.25) * math.tanh(0.5)
    np.testing.assert_allclose(to_numpy(h), [[min(2 * output, 0.75), -0.75]], rtol=1e-6)


def test_without_projection_there_is_nothing_to_clip() -> None:
    cell = ProjectedLSTMCell(3, projection_clip=1e-6)
    h, _ = cell(np.ones((1, 2)), [np.ones((1, 3)), np.ones((1, 3))])
    assert cell.projection_kernel is None
    assert np.abs(to_numpy(h)).max() > 1e-3
    assert [tuple(v.shape) for v in cell.weights] == [(5, 12), (12,)]


def test_in_an_rnn(tmp_path: Path) -> None:
    cell = ProjectedLSTMCell(5, 2, cell_clip=3.0, projection_clip=3.0)
    inputs = to_tensor(np.random.default_rng(0).normal(size=(3, 4, 6)).astype(np.float32))
    symbolic = keras.Input((None, 6))
    rnn = keras.layers.RNN(cell, return_sequences=True)
    model = keras.Model(symbolic, rnn(symbolic))
    outputs = model(inputs)
    states = [np.zeros((3, 2), np.float32), np.zeros((3, 5), np.float32)]
    for step in range(4):
        h, states = cell(inputs[:, step], states)
        np.testing.assert_allclose(to_numpy(outputs[:, step]), to_numpy(h), atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(inputs)), to_numpy(outputs))


def test_initializer() -> None:
    cell = ProjectedLSTMCell(3, 2, kernel_initializer=keras.initializers.Constant(0.5))
    cell.build((None, 1))
    np.testing.assert_array_equal(to_numpy(cell.kernel), np.full((3, 12), 0.5))
    np.testing.assert_array_equal(to_numpy(cell.projection_kernel), np.full((3, 2), 0.5))
    assert (
        ProjectedLSTMCell.from_config(cell.get_config()).get_config() == cell.get_config()
    )


@pytest.mark.parametrize("name", ["units", "projection_dim"])
def test_refuses(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a positive integer; got 0"):
        ProjectedLSTMCell(**{"units": 2, name: 0})
