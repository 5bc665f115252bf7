"""The layer against the slow NumPy ELMo, on configurations of every kind."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from keras_elmo.weights.assign import assign_arrays, variables_by_name
from tests.numpy_elmo import NumpyElmo, relative_error, scalar_mix
from tests.tiny_models import Arrays, configs, random_arrays

SENTENCES = st.lists(
    st.lists(st.binary(min_size=1, max_size=14), max_size=5), min_size=1, max_size=3
)


def layer_with(
    config: ElmoConfig, arrays: Arrays, **arguments: object
) -> ElmoEmbeddingLayer:
    layer = ElmoEmbeddingLayer(config, input_mode="tokens", pad_token="", **arguments)
    layer.build((None, None))
    assign_arrays(variables_by_name(layer.bilm), arrays)
    return layer


@hypothesis.settings(max_examples=60)
@given(configs(), st.integers(0, 2**32 - 1), SENTENCES)
def test_layers_of_random_models(
    report_error: Callable[[str, float], None],
    config: ElmoConfig,
    seed: int,
    sentences: list[list[bytes]],
) -> None:
    arrays = random_arrays(config, seed)
    found = layer_with(config, arrays, output_mode="layers")(sentences).numpy()
    reference = NumpyElmo(config, arrays)
    for row, tokens in enumerate(sentences):
        expected = reference.layers(tokens)[1:-1]
        error = relative_error(found[row, : len(tokens)], expected)
        report_error("NumPy ELMo, random configurations, layers (relative)", error)
        assert error < 1e-5
        assert not found[row, len(tokens) :].any()


@hypothesis.settings(max_examples=20)
@given(configs(), st.integers(0, 2**32 - 1), SENTENCES, st.data())
def test_every_output_of_random_models(
    report_error: Callable[[str, float], None],
    config: ElmoConfig,
    seed: int,
    sentences: list[list[bytes]],
    data: st.DataObject,
) -> None:
    arrays = random_arrays(config, seed)
    reference = NumpyElmo(config, arrays)
    weights = np.random.default_rng(seed).normal(size=config.n_layers + 1)
    # As in the layer: the third LSTM layer of deep models has no output of its own.
    modes = ["default", "elmo", "word_emb", "lstm_outputs1", "pooled_layers"]
    mode = data.draw(st.sampled_from(modes + ["lstm_outputs2"] * (config.n_layers > 1)))
    layer = layer_with(config, arrays, output_mode=mode)
    if layer.scalar_mix is not None:
        layer.scalar_mix.layer_weights.assign(weights)
        layer.scalar_mix.gamma.assign(1.5)
    found = layer(sentences).numpy()
    for row, tokens in enumerate(sentences):
        layers = reference.layers(tokens)[1:-1]
        pooled = layers.mean(axis=0) if tokens else np.zeros(layers.shape[1:])
        expected = {
            "default": lambda layers=layers, pooled=pooled: scalar_mix(
                pooled, weights, 1.5
            ),
            "elmo": lambda layers=layers: scalar_mix(layers, weights, 1.5),
            "word_emb": lambda layers=layers: layers[:, 0, : config.projection_dim],
            "lstm_outputs1": lambda layers=layers: layers[:, 1],
            "lstm_outputs2": lambda layers=layers: layers[:, 2],
            "pooled_layers": lambda pooled=pooled: pooled,
        }[mode]()
        values = (
            found[row]
            if mode in ("default", "pooled_layers")
            else found[row, : len(tokens)]
        )
        error = relative_error(values, expected)
        report_error("NumPy ELMo, random configurations, outputs (relative)", error)
        assert error < 1e-5


@hypothesis.settings(max_examples=15)
@given(configs(), st.integers(0, 2**32 - 1), st.lists(SENTENCES, min_size=2, max_size=4))
def test_carried_state_of_random_models(
    config: ElmoConfig, seed: int, batches: list[list[list[bytes]]]
) -> None:
    arrays = random_arrays(config, seed)
    reference = NumpyElmo(config, arrays)
    layer = ElmoEmbeddingLayer(
        config, "layers", input_mode="tokens", pad_token="", stateful=True
    )
    rows = max(map(len, batches))
    layer.build((rows, None))
    assign_arrays(variables_by_name(layer.bilm), arrays)
    states: list[dict] = [{} for _ in range(rows)]
    for sentences in batches:
        found = layer(sentences).numpy()
        for row, tokens in enumerate(sentences):
            expected = reference.layers(tokens, states[row])[1:-1]
            assert relative_error(found[row, : len(tokens)], expected) < 1e-5
