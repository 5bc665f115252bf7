"""The layer against the slow NumPy ELMo, on configurations of every kind."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from keras_elmo.text.characters import token_character_ids
from tests.any_backend import BACKEND, to_numpy
from tests.numpy_elmo import NumpyElmo, relative_error, scalar_mix
from tests.tiny_models import Arrays, configs, random_arrays

pytestmark = pytest.mark.any_backend

SENTENCES = st.lists(
    st.lists(st.binary(min_size=1, max_size=14), max_size=5), min_size=1, max_size=3
)
SEEDS = st.integers(0, 2**32 - 1)
INPUT_MODE = "tokens" if BACKEND == "tensorflow" else "character_ids"
# TensorFlow traces a function for each configuration, and JAX compiles a program.
EXAMPLES = 2 if BACKEND == "jax" else 8


def layer_with(
    config: ElmoConfig, arrays: Arrays, rows: int | None = None, **arguments: object
) -> ElmoEmbeddingLayer:
    layer = ElmoEmbeddingLayer(config, input_mode=INPUT_MODE, pad_token="", **arguments)
    ids = (config.max_characters_per_token,) * (INPUT_MODE == "character_ids")
    layer.build((rows, None, *ids))
    layer.use_arrays(arrays)
    return layer


def outputs(layer: ElmoEmbeddingLayer, sentences: list[list[bytes]]) -> np.ndarray:
    inputs = sentences
    if INPUT_MODE == "character_ids":
        # Without the two words that batch_to_character_ids reads as boundaries.
        length, time = layer.max_characters_per_token, max(map(len, sentences))
        inputs = np.zeros((len(sentences), time, length), np.int32)
        for row, tokens in zip(inputs, sentences, strict=True):
            for place, token in zip(row, tokens, strict=False):
                place[:] = token_character_ids(token, length)
    return to_numpy(layer(inputs))


@hypothesis.settings(max_examples=2 * EXAMPLES)
@given(configs(), SEEDS, SENTENCES, st.data())
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
    modes = ["layers", "default", "elmo", "word_emb", "lstm_outputs1", "pooled_layers"]
    mode = data.draw(st.sampled_from(modes + ["lstm_outputs2"] * (config.n_layers > 1)))
    layer = layer_with(config, arrays, output_mode=mode)
    if layer.scalar_mix is not None:
        layer.scalar_mix.set_weights([weights, np.array(1.5)])
    found = outputs(layer, sentences)
    for row, tokens in enumerate(sentences):
        layers = reference.layers(tokens)[1:-1]
        pooled = layers.mean(axis=0) if tokens else np.zeros(layers.shape[1:])
        match mode:
            case "default":
                expected = scalar_mix(pooled, weights, 1.5)
            case "elmo":
                expected = scalar_mix(layers, weights, 1.5)
            case "word_emb":
                expected = layers[:, 0, : config.projection_dim]
            case "lstm_outputs1" | "lstm_outputs2":
                expected = layers[:, int(mode[-1])]
            case _:
                expected = pooled if mode == "pooled_layers" else layers
        values = found[row]
        if mode not in ("default", "pooled_layers"):
            assert not values[len(tokens) :].any()
            values = values[: len(tokens)]
        error = relative_error(values, expected)
        report_error("NumPy ELMo, random configurations (relative)", error)
        assert error < 1e-5


@hypothesis.settings(max_examples=3 * EXAMPLES // 4)
@given(configs(), SEEDS, st.lists(SENTENCES, min_size=2, max_size=4))
def test_carried_state_of_random_models(
    config: ElmoConfig, seed: int, batches: list[list[list[bytes]]]
) -> None:
    arrays = random_arrays(config, seed)
    reference = NumpyElmo(config, arrays)
    rows = max(map(len, batches))
    layer = layer_with(config, arrays, rows, output_mode="layers", stateful=True)
    states: list[dict] = [{} for _ in range(rows)]
    for sentences in batches:
        found = outputs(layer, sentences)
        for row, tokens in enumerate(sentences):
            expected = reference.layers(tokens, states[row])[1:-1]
            assert relative_error(found[row, : len(tokens)], expected) < 1e-5
