"""Calls outside a model and a function, which TensorFlow runs as one compiled function."""

from __future__ import annotations

import copy
import gc
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.layers import CharacterIds
from tests.any_backend import fed
from tests.tiny_models import LEAST

pytestmark = pytest.mark.compiled

TOKENS = [["the", "cat", "sat", "on", "it"], ["a"], [], ["so", "bad"]]
IT = tf.constant(["the cat sat on it", "a", "", "so bad"])

MODES: list[Any] = [
    ("default", {}),
    ("elmo", {"stateful": True}),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (
            ("pooled_layers", {"split": "words"}),
            ("word_emb", {"max_tokens": 2}),
            ("elmo", {"output_sequence_length": 4}),
            ("elmo", {"stateful": "pieces", "input_mode": "character_ids"}),
            ("elmo", {"engine": "hub"}),
            ("lstm_outputs1", {"keep_sentence_boundaries": True, "input_mode": "tokens"}),
            ("lstm_outputs2", {"dtype": "mixed_bfloat16"}),
            ("layers", {"input_mode": "character_ids"}),
        )
    ),
]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that Python goes through the layer."""
    found: list[str] = []
    tokens = CharacterIds.tokens

    def counted(self: CharacterIds, inputs: Any) -> Any:
        found.append(self.name)
        return tokens(self, inputs)

    monkeypatch.setattr(CharacterIds, "tokens", counted)
    return found


@pytest.mark.parametrize(("mode", "arguments"), MODES)
def test_as_in_a_function(
    source: str, request: pytest.FixtureRequest, mode: str, arguments: dict[str, Any]
) -> None:
    if "engine" in arguments:
        source = request.getfixturevalue("module")
    layer = ElmoEmbeddingLayer(source, mode, **arguments)
    inputs = fed(TOKENS, layer.input_mode)
    batches = [inputs, inputs[:2]]
    masked = {} if mode in ("default", "pooled_layers") else {"return_mask": True}
    bare = [layer(batch, **masked) for batch in batches]
    layer.reset_state()
    compiled = tf.function(lambda x: layer(x, training=False, **masked))
    for found, expected in zip(bare, map(compiled, batches), strict=True):
        for one, other in zip(*map(tf.nest.flatten, (found, expected)), strict=True):
            one, other = (np.asarray(tf.cast(x, tf.float32)) for x in (one, other))
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_one_trace_for_all_sizes(source: str, runs: list[str]) -> None:
    layer = ElmoEmbeddingLayer(source, "elmo")
    alone = layer(["a"])
    for texts in (IT, IT[:0], IT[:, None], [" ".join("abcdefg")], ["a"]):
        found = layer(texts)
    np.testing.assert_array_equal(found, alone)  # bit for bit
    assert len(runs) == 2  # also for (batch, 1)


def of_weights(layer: ElmoEmbeddingLayer, x: Any) -> dict[str, np.ndarray]:
    """The gradients of a bare call, by the paths of the variables that have one."""
    variables = [v for v in layer.variables if "state" not in v.path]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(layer(x, training=True)))
    found = tape.gradient(loss, [v.value for v in variables])
    return {
        v.path: tf.convert_to_tensor(gradient).numpy()
        for v, gradient in zip(variables, found, strict=True)
        if gradient is not None
    }


def test_gradients_and_what_is_trainable(runs: list[str]) -> None:
    """They follow ``trainable``, and are those of a function around the tape."""
    layer = ElmoEmbeddingLayer(LEAST, fine_tune="all", trainable=False)
    frozen = layer(IT)
    assert not any("bilm" in path for path in of_weights(layer, IT))
    layer.trainable = True
    np.testing.assert_allclose(layer(IT), frozen, atol=1e-6)
    found = of_weights(layer, IT)
    runs.clear()
    assert found.keys() == {v.path for v in layer.trainable_variables}
    variables = [v.value for v in layer.trainable_variables]

    @tf.function
    def compiled(x: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(x, training=True)))
        return tape.gradient(loss, variables)

    for variable, gradient in zip(layer.trainable_variables, compiled(IT), strict=True):
        expected = tf.convert_to_tensor(gradient).numpy()
        error = 1e-6 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(found[variable.path], expected, rtol=0, atol=error)
    # A step by hand, on weights that the next call sees.
    for variable in layer.trainable_variables:
        variable.assign_sub(0.1 * found[variable.path])
    assert float(tf.reduce_sum(tf.sin(layer(IT)))) < float(tf.reduce_sum(tf.sin(frozen)))
    layer.trainable = False
    assert not any("bilm" in path for path in of_weights(layer, IT))
    assert len(runs) == 1  # of the function above


def test_what_changes_between_calls(source: str) -> None:
    """Copies, other weights, values of one call, and cached words."""
    layer = ElmoEmbeddingLayer(source, "word_emb")
    expected = layer(IT).numpy()
    twin = copy.deepcopy(layer)
    weights = twin.get_weights()
    twin.set_weights([2 * weight for weight in weights])
    doubled = twin(IT).numpy()
    assert np.abs(doubled - expected).max() > 0.1
    np.testing.assert_array_equal(layer(IT), expected)
    with keras.StatelessScope(zip(layer.variables, twin.get_weights(), strict=True)):
        np.testing.assert_allclose(layer(IT), doubled, atol=1e-5)
    np.testing.assert_array_equal(layer(IT), expected)
    layer.cache_vocabulary(["cat"])
    np.testing.assert_allclose(layer(IT), expected, atol=1e-6)
    layer.vocabulary_cache._set([b"cat"], np.full((1, 8), 3.0, np.float32))
    expected[0, 1] = 3
    np.testing.assert_allclose(layer(IT), expected, atol=1e-6)


def test_layers_are_let_go() -> None:
    layer = ElmoEmbeddingLayer(LEAST, fine_tune="all")
    of_weights(layer, IT)
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None


def seconds(run: Callable[[], Any]) -> Iterator[float]:
    while True:
        start = time.perf_counter()
        run()
        yield time.perf_counter() - start


@pytest.mark.slow
@pytest.mark.parametrize("text", ["the cat is on the mat", "word " * 500])
def test_no_slower_than_compiled(text: str, report_figure: Callable[..., None]) -> None:
    layer = ElmoEmbeddingLayer("mini", "elmo")
    compiled, x = tf.function(lambda x: layer(x, training=False)), tf.constant([text])
    runs = seconds(lambda: layer(x).numpy()), seconds(lambda: compiled(x).numpy())
    bare, other = np.median([[next(run) for run in runs] for _ in range(25)], axis=0)
    n = len(text.split())
    report_figure(f"a bare call for {n} tokens, compiled ones", f"{bare / other:.2f}")
    assert bare < 2 * other
