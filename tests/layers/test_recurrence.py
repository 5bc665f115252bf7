"""The LSTM cell, its two directions, and the recurrence that leaves padding out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_elmo.layers import (
    BidirectionalLM,
    ProjectedLSTMCell,
    packed_bilm,
    packed_lstm,
    steps,
)
from tests.any_backend import BACKEND, reloaded, to_numpy, to_tensor, without_strings

pytestmark = pytest.mark.any_backend

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(2, 6, 4)).astype(np.float32)

# ------------------------------------------------------------------ one step


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def one_unit(**arguments: object) -> ProjectedLSTMCell:
    """A cell of one unit that projects to two, with weights that tell the gates apart."""
    cell = ProjectedLSTMCell(1, 2, **arguments)
    cell.build((None, 1))
    cell.kernel.assign([[1, 2, 3, 4]])  # columns: i, j, f, o
    cell.recurrent_kernel.assign([[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0]])
    cell.bias.assign([0.5, -0.5, 0.25, -0.25])
    cell.projection_kernel.assign([[2.0, -4.0]])
    return cell


def test_a_step_by_hand() -> None:
    i, j, f, o = 0.5 + 0.1 + 0.5, 1 + 0.2 - 0.5, 1.5 + 0.3 + 0.25, 2 + 0.4 - 0.25
    expected_c = sigmoid(f + 1) * 2 + sigmoid(i) * math.tanh(j)
    output = sigmoid(o) * math.tanh(expected_c)
    inputs = np.array([[0.5]]), [np.array([[1.0, 9.0]]), np.array([[2.0]])]
    h, (h_again, c) = one_unit()(*inputs)
    np.testing.assert_allclose(to_numpy(c), [[expected_c]], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(h), [[2 * output, -4 * output]], rtol=1e-6)
    np.testing.assert_array_equal(to_numpy(h), to_numpy(h_again))

    h, (_, c) = one_unit(cell_clip=0.5, projection_clip=0.75)(*inputs)
    np.testing.assert_array_equal(to_numpy(c), [[0.5]])
    output = sigmoid(o) * math.tanh(0.5)
    np.testing.assert_allclose(to_numpy(h), [[min(2 * output, 0.75), -0.75]], rtol=1e-6)


def test_without_projection_there_is_nothing_to_clip() -> None:
    cell = ProjectedLSTMCell(3, projection_clip=1e-6)
    h, _ = cell(np.ones((1, 2)), [np.ones((1, 3)), np.ones((1, 3))])
    assert cell.projection_kernel is None
    assert np.abs(to_numpy(h)).max() > 1e-3
    assert [tuple(v.shape) for v in cell.weights] == [(2, 12), (3, 12), (12,)]


def test_in_an_rnn(tmp_path: Path) -> None:
    initializer = keras.initializers.RandomUniform(-0.3, 0.3)
    cell = ProjectedLSTMCell(5, 2, 3.0, 3.0, kernel_initializer=initializer)
    inputs = to_tensor(RNG.normal(size=(3, 4, 6)).astype(np.float32))
    symbolic = keras.Input((None, 6))
    rnn = keras.layers.RNN(cell, return_sequences=True)
    model = keras.Model(symbolic, rnn(symbolic))
    outputs = model(inputs)
    assert outputs.shape == (3, 4, 2)
    for weight in cell.weights:
        assert np.abs(to_numpy(weight)).max() < 0.3
    found = reloaded(model, tmp_path)(inputs)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(outputs))
    copy = ProjectedLSTMCell.from_config(cell.get_config())
    assert copy.get_config() == cell.get_config()


# ------------------------------------------------------------------ both directions


def bilm(**arguments: object) -> BidirectionalLM:
    return BidirectionalLM(2, 5, 4, use_skip_connections=True, **arguments)


def test_directions_are_plain_rnns_with_a_skip() -> None:
    layer = bilm(return_boundaries=True)
    layers = to_numpy(layer(VECTORS))
    forward, backward = layer.forward_lstms, layer.backward_lstms
    for lstms, part, flip in ((forward, slice(0, 4), 1), (backward, slice(4, 8), -1)):
        np.testing.assert_array_equal(layers[:, :, 0, part], VECTORS)
        x = VECTORS[:, ::flip]
        for k, lstm in enumerate(lstms, start=1):
            rnn = keras.layers.RNN(lstm.cell, return_sequences=True)
            x = to_numpy(rnn(x)) + (x if k > 1 else 0)
            np.testing.assert_allclose(layers[:, ::flip, k, part], x, atol=1e-6)
    layer.return_boundaries = False
    np.testing.assert_array_equal(to_numpy(layer(VECTORS)), layers[:, 1:-1])


@pytest.mark.parametrize("return_boundaries", [False, True])
def test_masked_steps_might_as_well_not_be_there(return_boundaries: bool) -> None:
    layer = bilm(return_boundaries=return_boundaries)
    inner = slice(None) if return_boundaries else slice(1, -1)
    whole = np.array([True, False, True, True, False, True])
    without = to_numpy(layer(VECTORS[:, np.flatnonzero(whole)]))
    masked = layer(VECTORS, mask=to_tensor(np.stack([whole, whole])))
    mask = np.stack([whole, whole])[:, inner]
    np.testing.assert_array_equal(to_numpy(masked._keras_mask), mask)
    np.testing.assert_allclose(to_numpy(masked)[:, whole[inner]], without, atol=1e-6)
    assert not to_numpy(masked)[:, ~whole[inner]].any()


def test_state_continues_a_sequence() -> None:
    """Forward, two halves in a row are the whole; also in a functional model."""
    layer = bilm(return_boundaries=True, return_state=True)
    whole, states = layer(VECTORS)
    first, middle = layer(VECTORS[:, :3])
    second, end = layer(VECTORS[:, 3:], initial_state=middle)
    forward = np.concatenate([to_numpy(first), to_numpy(second)], axis=1)[..., :4]
    np.testing.assert_allclose(forward, to_numpy(whole)[..., :4], atol=1e-6)
    assert [tuple(s.shape) for s in states] == [(2, 4), (2, 5)] * 4
    for k in (0, 1, 4, 5):  # the forward h and c of both layers
        np.testing.assert_allclose(to_numpy(end[k]), to_numpy(states[k]), atol=1e-6)
    inputs = keras.Input((None, 4))
    found = keras.tree.flatten(keras.Model(inputs, layer(inputs))(VECTORS))
    for one, other in zip(found, [whole, *states], strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bilm()(np.ones((1, 3, 5))), "size projection_dim = 4; got shape"),
        (lambda: BidirectionalLM(0, 5, 4), "n_layers must be a positive integer; got 0"),
        (lambda: ProjectedLSTMCell(0), "units must be a positive integer; got 0"),
        (lambda: ProjectedLSTMCell(2, 0), "projection_dim must be a positive integer"),
    ],
)
def test_refuses(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# ------------------------------------------------------------------ without padding

WORDS = RNG.normal(size=(7, 4)).astype(np.float32)
BEGIN, END = 0, 6  # of sentence
PLACES = np.array([[1, 2, 3, 2, 1], [0] * 5, [0, 4, 0, 0, 0], [5, 0, 5, 4, 0]], np.int32)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "skip"])
def lstms(request: pytest.FixtureRequest) -> BidirectionalLM:
    keras.utils.set_random_seed(0)
    layer = BidirectionalLM(2, 5, 4, 0.5, 0.4, request.param, kernel_initializer="normal")
    layer.build((None, None, 4))
    return layer


@pytest.fixture(params=[1, 4, 1000], ids="{} rows at once".format)
def rows_at_once(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setattr(packed_lstm, "_ROWS_AT_ONCE", request.param)
    monkeypatch.setattr(packed_lstm, "_WORDS_AT_ONCE", request.param)
    packed_bilm.packed_bilm.cache_clear()
    yield
    packed_bilm.packed_bilm.cache_clear()


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On JAX, steps of fewer rows have programs of their own, and words more chunks."""
    monkeypatch.setattr(steps, "_FEWEST_ROWS", 1)
    monkeypatch.setattr(steps, "_CHUNK", 3)


def without_padding(lstms: BidirectionalLM, words: Any, places: Any, *how: bool) -> Any:
    """Of the words at places (batch, time), where 0 is padding."""
    places = to_tensor(places)
    return lstms.run_packed(words, places, places > 0, *how)


def masking_padding(lstms: BidirectionalLM, words: Any, places: Any, *how: bool) -> Any:
    places = to_tensor(places)
    column = ops.ones_like(places[:, :1])
    bounded = ops.concatenate([BEGIN * column, places, END * column], axis=1)
    mask = ops.pad(ops.cast(places > 0, "int32"), [[0, 0], [1, 1]], constant_values=1)
    return lstms(ops.take(words, bounded, axis=0), mask=mask > 0)


@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize("lstms", [True], ids=["skip"], indirect=True)
@pytest.mark.parametrize("differentiable", [False, True])
def test_packed_layers(lstms: BidirectionalLM, differentiable: bool) -> None:
    words = to_tensor(WORDS)
    found = to_numpy(without_padding(lstms, words, PLACES, differentiable))
    expected = to_numpy(masking_padding(lstms, words, PLACES))
    assert np.abs(expected).max() > 0.3  # the clips have something to do
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[PLACES == 0].any()


def gradients(run: Callable[..., Any], lstms: BidirectionalLM, *how: bool) -> Any:
    """A function of places: of a sum of the layers, by the words and by all weights."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)], autograph=False)
    def of(places: tf.Tensor) -> list[Any]:
        words = tf.constant(WORDS, lstms.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(words)
            layers = tf.reshape(run(lstms, words, places, *how), [-1])
            weights = tf.sin(tf.range(tf.size(layers), dtype=layers.dtype))
            loss = tf.reduce_sum(layers * weights)
        found = tape.gradient(loss, [words, *lstms.trainable_variables])
        return [tf.reshape(tf.convert_to_tensor(gradient), [-1]) for gradient in found]

    return of


@pytest.mark.tensorflow
@pytest.mark.parametrize("rows_at_once", [4], indirect=True)
@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize(
    ("units", "dtype", "error"),  # without a projection, and with one
    [
        (5, "float64", 1e-10),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((4, "float64", 1e-10), (4, "float32", 5e-7), (5, "float32", 5e-7))
        ),
    ],
)
def test_packed_gradients_are_tensorflows(units: int, dtype: str, error: float) -> None:
    """Also of one step, of empty sentences, of no sentence; as shares of the largest."""
    wide = keras.initializers.RandomNormal(stddev=0.7, seed=1)
    lstms = BidirectionalLM(2, units, 4, 0.5, 0.4, True, wide, dtype=dtype)
    lstms.build((None, None, 4))
    first = to_numpy(without_padding(lstms, WORDS.astype(dtype), PLACES))[:, :, 1]
    assert units == 4 or (np.abs(first) > 0.4 - 1e-7).any()  # clipped
    expected_of = gradients(masking_padding, lstms)
    for how in (False, True):
        found_of = gradients(without_padding, lstms, how)
        for places in (PLACES, PLACES[3:, :1], PLACES[1:2], PLACES[:0]):
            found, expected = (np.concatenate(of(places)) for of in (found_of, expected_of))
            largest = np.abs(expected).max()
            assert (largest > 0.1) == bool(places.any())
            np.testing.assert_allclose(found, expected, rtol=0, atol=error * largest)


@without_strings
@pytest.mark.usefixtures("rows_at_once", "few_rows")
@pytest.mark.parametrize("rows_at_once", [4], indirect=True)
@pytest.mark.parametrize("units", [4, 5], ids=["no projection", "projection"])
def test_packed_gradients_are_the_backends_own(units: int) -> None:
    wide = keras.initializers.RandomNormal(stddev=0.7, seed=1)
    lstms = BidirectionalLM(2, units, 4, 0.5, 0.4, True, wide)
    lstms.build((None, None, 4))
    values = [WORDS, *lstms.get_weights()]

    def loss(run: Callable[..., Any], how: bool, values: list[Any]) -> Any:
        words, *weights = values
        with keras.StatelessScope(zip(lstms.weights, weights, strict=True)):
            layers = ops.reshape(run(lstms, words, PLACES, how), [-1])
        return ops.sum(
            layers * to_tensor(np.sin(np.arange(layers.shape[0], dtype=np.float32)))
        )

    def gradient(run: Callable[..., Any], how: bool = True) -> np.ndarray:
        if BACKEND == "jax":
            import jax

            found = jax.jit(jax.grad(lambda values: loss(run, how, values)))(values)
        else:
            tensors = [to_tensor(value).requires_grad_() for value in values]
            loss(run, how, tensors).backward()
            found = [tensor.grad for tensor in tensors]
        return np.concatenate([to_numpy(each).ravel() for each in found])

    expected = gradient(masking_padding)
    for how in (False, True):
        error = np.abs(gradient(without_padding, how) - expected).max()
        assert error < 1e-6 * np.abs(expected).max()


@pytest.mark.tensorflow
def test_models_of_one_shape_share_a_trace() -> None:
    """And see their own weights, also those that are assigned later."""
    packed_bilm.packed_bilm.cache_clear()
    one, other = (BidirectionalLM(1, 5, 4) for _ in range(2))
    for layer in (one, other):
        layer.build((None, None, 4))
    for layer, places in ((one, PLACES), (other, PLACES[:2, :3]), (other, PLACES)):
        found = without_padding(layer, WORDS, places)
        expected = masking_padding(layer, WORDS, places)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        other.set_weights([2 * weight for weight in one.get_weights()])
    shared = packed_bilm.packed_bilm.cache_info()
    assert (shared.misses, shared.hits) == (1, 2)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_gradients_of_gradients_are_refused() -> None:
    import tensorflow as tf

    lstms = BidirectionalLM(1, 5, 4)
    lstms.build((None, None, 4))
    words = tf.constant(WORDS)
    with tf.GradientTape() as outer, tf.GradientTape(persistent=True) as tape:
        outer.watch(words)
        tape.watch(words)
        loss = tf.reduce_sum(without_padding(lstms, words, PLACES) ** 2)
    first = tape.gradient(loss, words)
    np.testing.assert_allclose(outer.gradient(loss, words), first, atol=1e-6)
    with tf.GradientTape() as outer:
        outer.watch(words)
        with tf.GradientTape() as tape:
            tape.watch(words)
            loss = tf.reduce_sum(without_padding(lstms, words, PLACES) ** 2)
        with pytest.raises(LookupError, match="ELMo can be differentiated once"):
            outer.gradient(tape.gradient(loss, words), words)


@pytest.fixture(scope="module")
def in_a_graph(lstms: BidirectionalLM) -> Callable[..., tuple[Any, Any]]:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])
    def both(places: tf.Tensor) -> tuple[Any, Any]:
        words = tf.constant(WORDS)
        packed = without_padding(lstms, words, places, False)
        return packed, masking_padding(lstms, words, places)

    return both


SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 6))


@pytest.mark.tensorflow
@given(hnp.arrays(np.int32, SHAPES, elements=st.integers(0, 5)))
def test_any_lengths_and_any_padding(
    in_a_graph: Callable[..., tuple[Any, Any]], places: np.ndarray
) -> None:
    found, expected = in_a_graph(places)
    assert found.shape == (*places.shape, 3, 8)
    np.testing.assert_allclose(found, expected, atol=1e-6)
