"""The layer: every output of every input, masks, models, and what it refuses.

Runs on every backend; on others than TensorFlow with character ids.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, batch_to_character_ids
from keras_elmo.config import MIX_GAMMA
from keras_elmo.hub.module import HubModule
from keras_elmo.hub.saved_model import export_saved_model
from keras_elmo.layers import CharacterIds, MaskedMean
from keras_elmo.types import OutputMode
from tests.any_backend import (
    BACKEND,
    INPUT_MODES,
    STRINGS_OR_IDS,
    fed,
    given,
    marked,
    model_of,
    reloaded,
    symbolic,
    to_numpy,
    to_tensor,
    without_strings,
)
from tests.numpy_elmo import NumpyElmo, scalar_mix
from tests.tiny_models import LEAST, TINY, random_arrays, saved_model

pytestmark = pytest.mark.any_backend

POOLED = ("default", "pooled_layers")
SENTENCES = ["the cat sat on the mat", "a", "", "naïve café 北京 🙂"]
TOKENS = [sentence.split() for sentence in SENTENCES]
IDS = batch_to_character_ids(TOKENS)
MASK = np.arange(6) < np.array([[6], [1], [0], [4]])


def expected_output(mode: str) -> np.ndarray:
    """The outputs for SENTENCES, by the NumPy ELMo."""
    reference = NumpyElmo(TINY, random_arrays(TINY))
    layers = np.zeros((4, 6, 3, 16))
    for row, tokens in enumerate(TOKENS):
        layers[row, : len(tokens)] = reference.layers([t.encode() for t in tokens])[1:-1]
    lengths = np.array([[[6]], [[1]], [[1]], [[4]]])  # 1 where there is nothing to divide
    pooled = layers.sum(axis=1) / lengths
    return {
        "default": scalar_mix(pooled, [0, 0, 0], 1),
        "elmo": scalar_mix(layers, [0, 0, 0], 1),
        "word_emb": layers[:, :, 0, :8],
        "lstm_outputs1": layers[:, :, 1],
        "lstm_outputs2": layers[:, :, 2],
        "layers": layers,
        "pooled_layers": pooled,
    }[mode]


@pytest.mark.parametrize(
    ("mode", "input_mode"),
    marked(
        *((mode, "character_ids") for mode in get_args(OutputMode)),
        *(("default", "sentences"), ("layers", "sentences"), ("layers", "tokens")),
    ),
)
def test_every_output_and_every_input(source: str, mode: str, input_mode: str) -> None:
    layer = ElmoEmbeddingLayer(source, mode, input_mode)
    output = layer(given(TOKENS, input_mode))
    expected = expected_output(mode)
    np.testing.assert_allclose(to_numpy(output), expected, rtol=1e-5, atol=1e-5)
    mask = getattr(output, "_keras_mask", None)
    if mode in POOLED:
        assert mask is None
        assert not to_numpy(output)[2].any()  # the sentence without tokens
    else:
        np.testing.assert_array_equal(to_numpy(mask), MASK)
        assert not to_numpy(output)[~MASK].any()
    inputs = symbolic(input_mode)
    outputs = layer(inputs)
    of_tokens = () if mode in POOLED else (None,)
    assert outputs.shape == (None, *of_tokens, *expected.shape[1 + len(of_tokens) :])
    assert outputs.dtype == "float32"
    if mode in ("default", "layers"):
        model = keras.Model(inputs, outputs)
        found = model.predict(fed(TOKENS, input_mode), verbose=0)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("input_mode", INPUT_MODES)
@pytest.mark.parametrize("n_calls", [1, 2])
def test_summary_shows_the_layer_once(input_mode: str, n_calls: int) -> None:
    """And no helpers, though what follows gets a mask."""
    inputs = [symbolic(input_mode) for _ in range(n_calls)]
    layer = ElmoEmbeddingLayer(LEAST, "elmo", input_mode, name="elmo")
    lstm = keras.layers.LSTM(2, name="lstm")
    model = keras.Model(inputs, [lstm(layer(x)) for x in inputs])
    names = [x.name for x in model.layers if not isinstance(x, keras.layers.InputLayer)]
    assert names == ["elmo", "lstm"]
    assert [x.name for x in model.operations] == [x.name for x in model.layers]
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=200)
    assert "".join(lines).count("elmo (ElmoEmbeddingLayer)") == 1


# ------------------------------------------------------------------ masks and padding


@pytest.mark.parametrize("input_mode", STRINGS_OR_IDS)
def test_masks_reach_the_layers_downstream(input_mode: str) -> None:
    """An LSTM, an attention and a pooling layer that see padding give other results."""
    inputs = symbolic(input_mode)
    x = ElmoEmbeddingLayer(LEAST, "elmo", input_mode)(inputs)
    mean = keras.layers.GlobalAveragePooling1D()
    both = keras.layers.Bidirectional(keras.layers.LSTM(3))
    outputs = [
        keras.layers.LSTM(3)(x),
        both(keras.layers.Dropout(0.5)(x)),
        mean(keras.layers.MultiHeadAttention(2, 4)(x, x)),
        mean(x),
    ]
    model = keras.Model(inputs, outputs)
    inner = symbolic(input_mode)
    nested = keras.Model(inner, model(inner))
    if input_mode == "tokens":
        padded = to_tensor([["a", "", "b", "c", "--PAD--", ""], ["d"] * 6])
    else:
        padded = batch_to_character_ids([["a", "", "b", "c", "", ""], ["d"] * 6])
        padded[0, [1, 4, 5]] = 0
    bare = model.predict(fed([["a", "b", "c"]], input_mode), verbose=0)
    for found in (model.predict(padded, verbose=0), nested.predict(padded, verbose=0)):
        for without, among in zip(bare, found, strict=True):
            np.testing.assert_allclose(among[:1], without, atol=1e-5)


WORDS = st.sampled_from(
    ["the", "a", "bank", "x" * 60, "naïve", "🙂", "New York", "\0", "\t"]
)
SENTENCE = st.lists(WORDS, max_size=5)


@pytest.fixture(scope="module", params=STRINGS_OR_IDS)
def invariant_layer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ElmoEmbeddingLayer:
    model = saved_model(tmp_path_factory.mktemp("model"))
    return ElmoEmbeddingLayer(model, "layers", request.param)


@pytest.mark.tensorflow  # elsewhere each shape is compiled
@settings(max_examples=20)
@hypothesis_given(SENTENCE, st.lists(SENTENCE, max_size=4), st.data())
def test_a_sentence_depends_on_itself_alone(
    invariant_layer: ElmoEmbeddingLayer,
    sentence: list[str],
    companions: list[list[str]],
    data: st.DataObject,
) -> None:
    def run(batch: list[list[str]]) -> np.ndarray:
        tokens = CharacterIds("tokens")(batch)  # "" and --PAD-- become zeros
        by_ids = invariant_layer.input_mode == "character_ids"
        return invariant_layer(tokens if by_ids else batch).numpy()

    alone = run([sentence])[0, : len(sentence)]
    row = data.draw(st.integers(0, len(companions)), label="row")
    pads = st.lists(st.sampled_from(["", "--PAD--"]), max_size=2)
    padded, places = data.draw(pads), []
    for token in sentence:
        places.append(len(padded))
        padded += [token, *data.draw(pads)]
    output = run([*companions[:row], padded, *companions[row:]])[row]
    np.testing.assert_allclose(output[places], alone, atol=1e-5, rtol=0)
    assert not np.delete(output, places, axis=0).any()


@pytest.mark.tensorflow
def test_nothing_is_ever_nan(source: str) -> None:
    layer = ElmoEmbeddingLayer(source)
    for sentences in ([""], ["", " "], ["\0"], to_tensor(["a" * 10_000]), ["\ud800"]):
        assert np.isfinite(layer(sentences)).all()
    assert layer(np.array([], dtype=object)).shape == (0, 16)
    model = keras.Model(inputs := symbolic("sentences"), layer(inputs))
    # So long a row of one word comes to rest, and its mean with it.
    both = [model.predict(to_tensor(["word " * n]), verbose=0) for n in (4000, 5000)]
    np.testing.assert_allclose(*both, atol=1e-2)
    assert np.abs(both).max() > 0.5


def test_nothing_to_compute(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "elmo", "character_ids")
    assert tuple(layer(IDS[:0]).shape) == (0, 6, 16)
    assert not to_numpy(layer(IDS[:, :0])).any()
    below = np.where(IDS.any(axis=-1, keepdims=True), IDS, -1)
    expected = to_numpy(layer(IDS))
    np.testing.assert_allclose(to_numpy(layer(to_tensor(below))), expected, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(layer(IDS)), expected)  # the same twice


def test_max_tokens(source: str) -> None:
    """Of ids; test_character_ids.py cuts strings."""
    layer = ElmoEmbeddingLayer(source, "elmo", "character_ids", max_tokens=2)
    expected = ElmoEmbeddingLayer(source, "elmo", "character_ids")(IDS[:, :2])
    output = layer(IDS)
    for found in (to_numpy(output), model_of(layer).predict(IDS, verbose=0)):
        assert found.shape[1] == (6 if BACKEND == "jax" else 2)
        np.testing.assert_allclose(found[:, :2], to_numpy(expected), atol=1e-6)
        assert not found[:, 2:].any()
    mask = to_numpy(output._keras_mask)
    np.testing.assert_array_equal(mask[:, :2], MASK[:, :2])
    assert not mask[:, 2:].any()


@pytest.mark.parametrize(
    ("input_mode", "length"),
    marked(*(("sentences", 2), ("tokens", 9), ("character_ids", 2), ("character_ids", 9))),
)
def test_output_sequence_length(
    source: str, tmp_path: Path, input_mode: str, length: int
) -> None:
    """The vectors are those of cut sentences, and the length is known in advance."""
    cut = [tokens[:length] for tokens in TOKENS]
    expected = to_numpy(
        ElmoEmbeddingLayer(source, "elmo", input_mode)(given(cut, input_mode))
    )
    expected = np.pad(expected, [(0, 0), (0, length - expected.shape[1]), (0, 0)])
    mask = np.arange(length) < np.array([len(tokens) for tokens in cut])[:, None]
    layer = ElmoEmbeddingLayer(source, "elmo", input_mode, output_sequence_length=length)
    output = layer(given(TOKENS, input_mode))
    np.testing.assert_allclose(to_numpy(output), expected, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(output._keras_mask), mask)
    np.testing.assert_array_equal(
        to_numpy(layer.compute_mask(given(TOKENS, input_mode))), mask
    )
    pooled = ElmoEmbeddingLayer(
        *(source, "default", input_mode), output_sequence_length=length
    )(given(TOKENS, input_mode))
    n_tokens = np.maximum(mask.sum(axis=1), 1)[:, None]
    np.testing.assert_allclose(to_numpy(pooled), expected.sum(axis=1) / n_tokens, atol=1e-6)
    inputs = symbolic(input_mode)
    outputs, symbolic_mask = layer(inputs, return_mask=True)
    assert outputs.shape == (None, length, 16)
    assert symbolic_mask.shape == (None, length)
    loaded = reloaded(keras.Model(inputs, outputs), tmp_path)
    found = loaded.predict(fed(TOKENS, input_mode), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "input_mode"),
    marked(
        *((mode, "character_ids") for mode in ("word_emb", "elmo", "layers")),
        ("layers", "tokens"),
    ),
)
def test_keep_sentence_boundaries(source: str, mode: str, input_mode: str) -> None:
    """Right around the tokens, wherever these stand; test_oracles.py has more values."""
    padded = [["", "a", "", "b", "", ""], ["c", "d", "", "", "", ""], [""] * 6]
    places = [[1, 2, 4, 5], [0, 1, 2, 3], [0, 1]]
    reference = NumpyElmo(TINY, random_arrays(TINY))
    layers = np.zeros((3, 8, 3, 16))
    mask = np.zeros((3, 8), bool)
    for row, tokens in enumerate(padded):
        found = reference.layers([t.encode() for t in tokens if t])  # boundaries included
        layers[row, places[row]] = found
        mask[row, places[row]] = True
    expected = {
        "word_emb": layers[:, :, 0, :8],
        "elmo": layers.mean(axis=2),
        "layers": layers,
    }[mode]
    inputs = batch_to_character_ids(padded)
    inputs[np.array(padded) == ""] = 0
    inputs = to_tensor(padded if input_mode == "tokens" else inputs)
    layer = ElmoEmbeddingLayer(source, mode, input_mode, keep_sentence_boundaries=True)
    output = layer(inputs)
    np.testing.assert_allclose(to_numpy(output), expected, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(output._keras_mask), mask)
    np.testing.assert_array_equal(to_numpy(layer.compute_mask(inputs)), mask)
    twin = ElmoEmbeddingLayer.from_config(
        {**layer.get_config(), "name": "twin", "output_sequence_length": 6}
    )
    twin.set_weights(layer.get_weights())
    model = keras.Model(x := symbolic(input_mode), [layer(x), twin(x)])
    assert [output.shape[1] for output in model.outputs] == [None, 6]
    for found in model.predict(inputs, verbose=0):
        time = found.shape[1]
        np.testing.assert_allclose(found, expected[:, :time], atol=1e-6)
        assert not expected[:, time:].any()


@pytest.mark.tensorflow
def test_pad_token(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "elmo", "tokens", pad_token="<pad>")
    output = layer([["a", "<pad>", "--PAD--"]])
    np.testing.assert_array_equal(output._keras_mask, [[True, False, True]])
    np.testing.assert_array_equal(layer.compute_mask([["a", "<pad>"]]), [[True, False]])


# ------------------------------------------------------------------ in models


@pytest.mark.tensorflow
def test_ragged_tensors(source: str) -> None:
    import tensorflow as tf

    layer, ragged = ElmoEmbeddingLayer(source, "elmo", "tokens"), tf.ragged.constant(TOKENS)
    model = keras.Model(inputs := keras.Input((None,), None, "string"), layer(inputs))
    for found in (layer(ragged), model.predict(ragged, verbose=0)):
        np.testing.assert_allclose(found, layer(TOKENS), atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(), (1,)])
def test_fit_takes_what_keras_takes(shape: tuple[int, ...]) -> None:
    import tensorflow as tf

    inputs = keras.Input(shape, dtype="string")
    model = keras.Model(inputs, keras.layers.Dense(1)(ElmoEmbeddingLayer(LEAST)(inputs)))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    labels, strings = np.array([0.0, 1.0, 0.0, 1.0]), tf.constant(SENTENCES)
    losses = [
        *model.fit(np.array(SENTENCES, dtype=object), labels, verbose=0).history["loss"],
        *model.fit(strings, labels, verbose=0).history["loss"],
        model.evaluate(strings[:, None], labels, verbose=0),
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)
    dataset = tf.data.Dataset.from_tensor_slices((strings, labels)).batch(3)
    found = model.predict(dataset, verbose=0)
    np.testing.assert_allclose(found, model(strings), atol=1e-6)


@pytest.mark.parametrize("input_mode", INPUT_MODES)
def test_the_dtype_of_the_inputs_is_no_policy(input_mode: str) -> None:
    """As ``hub.KerasLayer`` took it; such a layer computes as one without it."""
    dtype = symbolic(input_mode).dtype
    layer = ElmoEmbeddingLayer(LEAST, "elmo", input_mode, dtype=dtype)
    assert layer.dtype_policy == keras.config.dtype_policy()
    assert keras.backend.standardize_dtype(layer(given(TOKENS, input_mode)).dtype) == (
        "float32"
    )


@pytest.mark.tensorflow
def test_models_of_keras_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning before what Keras 2 says of the layer itself."""
    tf_keras = pytest.importorskip("tf_keras")
    layer = ElmoEmbeddingLayer(LEAST)
    with pytest.raises(
        TypeError, match=r"inputs: this is a tensor of Keras 2\. Models of tf"
    ):
        layer(tf_keras.Input((), dtype="string"))
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.warns(UserWarning, match=r"cannot hold layers of Keras 3: build the model"):
        ElmoEmbeddingLayer(LEAST)


@pytest.mark.tensorflow
def test_in_a_function(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoGraph, which takes apart what a function calls, knows all that it meets."""
    import tensorflow as tf
    from tensorflow.python.autograph.impl import conversion
    from tensorflow.python.autograph.pyct.cache import UnboundInstanceCache

    monkeypatch.setenv("AUTOGRAPH_STRICT_CONVERSION", "1")  # errors in place of warnings
    monkeypatch.setattr(conversion, "_ALLOWLIST_CACHE", UnboundInstanceCache())
    layer = ElmoEmbeddingLayer(source, "elmo")
    together = tf.function(lambda x: (layer(x), layer.compute_mask(x), layer(SENTENCES)))
    output, mask, of_lists = together(to_tensor(SENTENCES))
    np.testing.assert_allclose(output, layer(SENTENCES), atol=1e-6)
    np.testing.assert_allclose(of_lists, output, atol=1e-6)
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.tensorflow
def test_two_layers_and_one_layer_twice() -> None:
    left, right = symbolic("sentences"), symbolic("sentences")
    first = ElmoEmbeddingLayer(LEAST, "elmo")
    second = ElmoEmbeddingLayer(LEAST, "lstm_outputs1")
    both = keras.layers.Concatenate()([first(left), second(left)])
    pooled = [MaskedMean()(first(x)) for x in (left, right)]
    similarity = keras.layers.Dot(1, normalize=True)(pooled)
    model = keras.Model([left, right], [keras.layers.LSTM(2)(both), similarity])
    texts = to_tensor(SENTENCES[:2])
    summary, same = model.predict([texts, texts], verbose=0)
    assert summary.shape == (2, 2)
    np.testing.assert_allclose(same, [[1], [1]], atol=1e-6)
    assert len({layer.name for layer in model.layers}) == len(model.layers)
    assert len(model.trainable_variables) == 2 + 3  # the mix is shared


@pytest.mark.tensorflow
def test_stages_compose_in_a_functional_model(source: str) -> None:
    """The public stages, wired by hand, are the layer."""
    layer = ElmoEmbeddingLayer(source)
    inputs = symbolic("sentences")
    bounded = layer.bilm.sentence_boundaries(layer.character_ids(inputs))
    layers, *_ = layer.bilm.lstms(layer.bilm.token_encoder(bounded))
    model = keras.Model(inputs, MaskedMean()(ScalarMix()(layers)))
    np.testing.assert_allclose(model(to_tensor(SENTENCES)), layer(SENTENCES), atol=1e-6)


def test_random_weights() -> None:
    outputs = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        layer = ElmoEmbeddingLayer(TINY, input_mode="character_ids")
        outputs.append(to_numpy(layer(IDS)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-3


# ------------------------------------------------------------------ errors

ONE_LAYER = dataclasses.replace(TINY, n_layers=1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"output_mode": "pooled"}, ValueError, "output_mode must be one of 'default', 'e"),
        ({"fine_tune": True}, ValueError, "fine_tune must be one of 'aggr.* got True"),
        ({"dtype": "bool"}, ValueError, "dtype must be a dtype to compute in.* got 'bool'"),
        ({"dtype": "string"}, ValueError, "as 'float32' or 'mixed_float16'; got 'string'"),
        ({"engine": "tf"}, ValueError, "engine must be one of 'native', 'hub'; got 'tf'"),
        (
            {"keep_sentence_boundaries": True},
            ValueError,
            "for outputs with a time axis; output_mode='default' is a mean over tokens",
        ),
        (
            {"keep_sentence_boundaries": True, "output_mode": "elmo", "stateful": "pieces"},
            ValueError,
            "keep_sentence_boundaries=True: with stateful='pieces' only the first piece",
        ),
        (
            {"keep_sentence_boundaries": True, "output_mode": "elmo"}
            | {"output_sequence_length": 2},
            ValueError,
            "output_sequence_length must be an integer from 3 on; got 2",
        ),
        (
            {"output_sequence_length": 4, "max_tokens": 4},
            ValueError,
            "output_sequence_length cuts sentences, as max_tokens does; got both",
        ),
        ({"output_sequence_length": 0}, ValueError, "output_sequence_length must be a pos"),
        ({"source": 3}, TypeError, "source must be a name, a path, a URL or an ElmoConfig"),
        (
            {"source": ONE_LAYER, "output_mode": "lstm_outputs2"},
            ValueError,
            "'lstm_outputs2' needs 2 LSTM layers; this model has 1",
        ),
    ],
)
def test_refuses(
    source: str, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ElmoEmbeddingLayer(**{"source": source, "input_mode": "character_ids", **arguments})


def test_use_arrays_changes_all_or_nothing(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, input_mode="character_ids")
    arrays = random_arrays(TINY, seed=1)
    before = layer.get_weights()
    projection = arrays["CNN_proj/W_proj"]
    for changed, message in (
        ({"CNN_proj/W_proj": projection.T}, r"W_proj, expected \(18, 8\), found \(8, 18\)"),
        ({"char_embed": np.ones((262, 4))}, r"misshapen: char_embed, expected \(261, 4\)"),
        ({MIX_GAMMA: np.ones(1)}, r"misshapen: aggregation/scaling, expected \(\)"),
    ):
        with pytest.raises(ValueError, match=f"arrays: .* fit this layer:\n.*{message}"):
            layer.use_arrays(arrays | changed)
    del arrays["CNN/b_cnn_1"]
    with pytest.raises(ValueError, match=r"missing: CNN/b_cnn_1, shape \(6,\)"):
        layer.use_arrays(arrays)
    for one, other in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@without_strings
@pytest.mark.parametrize("input_mode", ["sentences", "tokens"])
def test_strings_need_tensorflow(input_mode: str) -> None:
    message = (
        f"input_mode='{input_mode}' takes strings and needs the TensorFlow backend of "
        f"Keras; this is the '{BACKEND}' backend. Use input_mode='character_ids', with the "
        "ids that keras_elmo.text_dataset or keras_elmo.batch_to_character_ids makes"
    )
    with pytest.raises(ValueError, match=message):
        ElmoEmbeddingLayer(TINY, input_mode=input_mode)
    with pytest.raises(ValueError, match=message):
        CharacterIds(input_mode)


@without_strings
def test_graphs_need_tensorflow(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, input_mode="character_ids")
    with pytest.raises(ValueError, match="export_saved_model writes a TensorFlow graph"):
        export_saved_model(layer, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="engine='hub' runs a TensorFlow graph and needs"):
        ElmoEmbeddingLayer("no/such/module", engine="hub")
    with pytest.raises(ValueError, match=r"HubModule runs a TensorFlow graph and needs"):
        HubModule(16)
