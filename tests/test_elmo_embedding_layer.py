from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, ScalarMix, batch_to_character_ids
from keras_elmo.types import OutputMode
from tests.numpy_elmo import NumpyElmo, scalar_mix
from tests.tiny_models import LEAST, TINY, random_arrays

MODES = get_args(OutputMode)
POOLED = ("default", "pooled_layers")
SENTENCES = ["the cat sat on the mat", "a", "", "naïve café 北京 🙂"]
TOKENS = [sentence.split() for sentence in SENTENCES]
SHAPES = {
    "default": (4, 16),
    "elmo": (4, 6, 16),
    "word_emb": (4, 6, 8),
    "lstm_outputs1": (4, 6, 16),
    "lstm_outputs2": (4, 6, 16),
    "layers": (4, 6, 3, 16),
    "pooled_layers": (4, 3, 16),
}


def expected_layers() -> np.ndarray:
    """The layers of SENTENCES (4, 6, 3, 16), by the NumPy ELMo."""
    reference = NumpyElmo(TINY, random_arrays(TINY))
    result = np.zeros((4, 6, 3, 16))
    for row, tokens in enumerate(TOKENS):
        result[row, : len(tokens)] = reference.layers([t.encode() for t in tokens])[1:-1]
    return result


def expected_output(mode: str) -> np.ndarray:
    layers = expected_layers()
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


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("input_mode", ["sentences", "tokens", "character_ids"])
def test_every_output_of_every_input(source: str, mode: str, input_mode: str) -> None:
    inputs = {
        "sentences": SENTENCES,
        "tokens": TOKENS,
        "character_ids": batch_to_character_ids(TOKENS),
    }[input_mode]
    layer = ElmoEmbeddingLayer(source, mode, input_mode)
    output = layer(inputs)
    assert output.shape == SHAPES[mode]
    np.testing.assert_allclose(output, expected_output(mode), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_symbolic_calls_tell_the_shape(source: str, mode: str) -> None:
    inputs = keras.Input((), dtype="string")
    output = ElmoEmbeddingLayer(source, mode)(inputs)
    rest = SHAPES[mode][1:] if mode in POOLED else (None, *SHAPES[mode][2:])
    assert output.shape == (None, *rest)
    assert output.dtype == "float32"
    model = keras.Model(inputs, output)
    predicted = model.predict(tf.constant(SENTENCES), verbose=0)
    np.testing.assert_allclose(predicted, expected_output(mode), rtol=1e-5, atol=1e-5)


def test_what_a_user_may_pass(source: str) -> None:
    layer = ElmoEmbeddingLayer(source)
    expected = layer(SENTENCES)
    column = np.array(SENTENCES, dtype=object)[:, None]
    for inputs in (
        tf.constant(SENTENCES),
        tf.constant(SENTENCES)[:, None],
        np.array(SENTENCES, dtype=object),
        column,
        np.array(SENTENCES),
        tuple(SENTENCES),
        [s.encode() for s in SENTENCES],
    ):
        np.testing.assert_array_equal(layer(inputs), expected)


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize(
    "texts",
    [
        np.array(SENTENCES, dtype=object),
        tf.constant(SENTENCES),
        tf.constant(SENTENCES)[:, None],
    ],
    ids=["objects", "tensor", "column"],
)
def test_fit_takes_what_keras_takes(texts: object, shape: tuple[int, ...]) -> None:
    inputs = keras.Input(shape, dtype="string")
    outputs = keras.layers.Dense(1)(ElmoEmbeddingLayer(LEAST)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    labels = np.array([0.0, 1.0, 0.0, 1.0])
    first = model.evaluate(texts, labels, verbose=0)
    assert model.fit(texts, labels, verbose=0).history["loss"] == [pytest.approx(first)]
    dataset = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(3)
    np.testing.assert_allclose(
        model.predict(dataset, verbose=0), model.predict(texts, verbose=0), atol=1e-6
    )


# ------------------------------------------------------------------ masks and padding


@pytest.mark.parametrize("mode", MODES)
def test_masks(source: str, mode: str) -> None:
    output = ElmoEmbeddingLayer(source, mode)(SENTENCES)
    mask = getattr(output, "_keras_mask", None)
    if mode in POOLED:
        assert mask is None
        assert not output.numpy()[2].any()  # the sentence without tokens
    else:
        expected = np.arange(6) < np.array([[6], [1], [0], [4]])
        np.testing.assert_array_equal(mask, expected)
        assert not output.numpy()[~expected].any()


def test_masks_reach_the_layers_downstream(source: str) -> None:
    """An LSTM, an attention and a pooling layer that see padding give other results."""
    inputs = keras.Input((None,), dtype="string")
    vectors = ElmoEmbeddingLayer(source, "elmo", "tokens")(inputs)
    outputs = [
        keras.layers.LSTM(3)(vectors),
        keras.layers.GlobalAveragePooling1D()(
            keras.layers.MultiHeadAttention(2, 4)(vectors, vectors)
        ),
        keras.layers.GlobalAveragePooling1D()(vectors),
    ]
    model = keras.Model(inputs, outputs)
    bare = model(tf.constant([["a", "b", "c"]]))
    padded = model(tf.constant([["a", "", "b", "c", "--PAD--", ""], ["d"] * 6]))
    for without, among in zip(bare, padded, strict=True):
        np.testing.assert_allclose(among[:1], without, atol=1e-5)


WORDS = st.sampled_from(
    ["the", "a", "bank", "x" * 60, "naïve", "🙂", "New York", "\0", "\t"]
)
SENTENCE = st.lists(WORDS, max_size=5)


@pytest.fixture(scope="module")
def invariant_layer(tmp_path_factory: pytest.TempPathFactory) -> ElmoEmbeddingLayer:
    from tests.tiny_models import saved_model

    model = saved_model(tmp_path_factory.mktemp("model"))
    return ElmoEmbeddingLayer(model, "layers", "tokens")


@given(SENTENCE, st.lists(SENTENCE, max_size=4), st.data())
def test_a_sentence_depends_on_itself_alone(
    invariant_layer: ElmoEmbeddingLayer,
    sentence: list[str],
    companions: list[list[str]],
    data: st.DataObject,
) -> None:
    alone = invariant_layer([sentence]).numpy()[0, : len(sentence)]
    row = data.draw(st.integers(0, len(companions)), label="row")
    padded, places = _with_padding(sentence, data)
    batch = [*companions[:row], padded, *companions[row:]]
    output = invariant_layer(batch).numpy()[row]
    np.testing.assert_allclose(output[places], alone, atol=1e-5, rtol=0)
    others = np.delete(output, places, axis=0)
    assert not others.any()


def _with_padding(sentence: list[str], data: st.DataObject) -> tuple[list[str], list[int]]:
    """The sentence with padding before, between and after, and where its tokens went."""
    pads = st.lists(st.sampled_from(["", "--PAD--"]), max_size=2)
    padded, places = data.draw(pads), []
    for token in sentence:
        places.append(len(padded))
        padded += [token, *data.draw(pads)]
    return padded, places


def test_the_same_sentence_twice_is_the_same_twice(source: str) -> None:
    layer = ElmoEmbeddingLayer(source)
    np.testing.assert_array_equal(layer(SENTENCES), layer(SENTENCES))


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_ever_nan(source: str, mode: str) -> None:
    layer = ElmoEmbeddingLayer(source, mode)
    for sentences in ([""], ["", " "], ["\0"], ["a" * 10_000], ["\ud800"]):
        assert np.isfinite(layer(sentences)).all()
    assert layer(np.array([], dtype=object)).shape[0] == 0


def test_a_sentence_of_5000_tokens(source: str) -> None:
    model = keras.Sequential([keras.Input((), dtype="string"), ElmoEmbeddingLayer(source)])
    vector = model.predict(tf.constant(["word " * 5000]), verbose=0)
    # So long a row of one word comes to rest, and its mean with it.
    shorter = model.predict(tf.constant(["word " * 4000]), verbose=0)
    np.testing.assert_allclose(vector, shorter, atol=1e-2)


@pytest.mark.parametrize("input_mode", ["sentences", "tokens"])
def test_max_tokens(source: str, input_mode: str) -> None:
    inputs = SENTENCES if input_mode == "sentences" else TOKENS
    cut = ElmoEmbeddingLayer(source, "elmo", input_mode, max_tokens=2)(inputs)
    short = [tokens[:2] for tokens in TOKENS]
    np.testing.assert_allclose(
        cut, ElmoEmbeddingLayer(source, "elmo", "tokens")(short), atol=1e-6
    )
    np.testing.assert_array_equal(cut._keras_mask, [[1, 1], [1, 0], [0, 0], [1, 1]])


def test_pad_token(source: str) -> None:
    layer = ElmoEmbeddingLayer(source, "elmo", "tokens", pad_token="<pad>")
    output = layer([["a", "<pad>", "--PAD--"]])
    np.testing.assert_array_equal(output._keras_mask, [[True, False, True]])


def test_ragged_tokens(source: str) -> None:
    ragged = tf.ragged.constant(TOKENS)
    layer = ElmoEmbeddingLayer(source, "elmo", "tokens")
    np.testing.assert_array_equal(layer(ragged), layer(TOKENS))
    inputs = keras.Input((None,), dtype="string", ragged=True)
    model = keras.Model(inputs, keras.layers.LSTM(2)(layer(inputs)))
    dense_inputs = keras.Input((None,), dtype="string")
    dense_model = keras.Model(dense_inputs, model.layers[-1](layer(dense_inputs)))
    dense = ragged.to_tensor("")
    np.testing.assert_allclose(
        model.predict(ragged, verbose=0), dense_model.predict(dense, verbose=0), atol=1e-6
    )


# ------------------------------------------------------------------ in models


def test_two_instances_and_two_names(source: str) -> None:
    inputs = keras.Input((), dtype="string")
    first = ElmoEmbeddingLayer(source, "elmo")(inputs)
    second = ElmoEmbeddingLayer(source, "lstm_outputs1")(inputs)
    both = keras.layers.LSTM(2)(keras.layers.Concatenate()([first, second]))
    model = keras.Model(inputs, both)
    assert model.predict(tf.constant(SENTENCES), verbose=0).shape == (4, 2)
    names = [layer.name for layer in model.layers]
    assert len(names) == len(set(names))


def test_one_layer_for_two_inputs(source: str) -> None:
    left, right = keras.Input((), dtype="string"), keras.Input((), dtype="string")
    layer = ElmoEmbeddingLayer(source)
    model = keras.Model(
        [left, right], keras.layers.Dot(1, normalize=True)([layer(left), layer(right)])
    )
    same = model.predict([tf.constant(SENTENCES[:2])] * 2, verbose=0)
    np.testing.assert_allclose(same, [[1], [1]], atol=1e-6)
    assert len(model.trainable_variables) == 2  # shared


def test_stages_compose_in_a_functional_model(source: str) -> None:
    """The public stages, wired by hand, are the layer."""
    from keras_elmo.layers import MaskedMean

    layer = ElmoEmbeddingLayer(source)
    inputs = keras.Input((), dtype="string")
    expected = keras.Model(inputs, layer(inputs))
    bilm = layer.bilm
    bounded = bilm.sentence_boundaries(layer.character_ids(inputs))
    layers, _ = keras.tree.flatten(bilm.lstms(bilm.token_encoder(bounded)))[:2]
    mixed = ScalarMix()(layers)
    model = keras.Model(inputs, MaskedMean()(mixed))
    np.testing.assert_allclose(
        model(tf.constant(SENTENCES)), expected(tf.constant(SENTENCES)), atol=1e-6
    )


@pytest.mark.parametrize("mode", ["layers", "pooled_layers"])
def test_a_scalar_mix_on_features_is_the_layers_own(source: str, mode: str) -> None:
    own = ElmoEmbeddingLayer(source, "elmo" if mode == "layers" else "default")
    mix = ScalarMix()
    features = ElmoEmbeddingLayer(source, mode)(SENTENCES)
    mix.build(features.shape)
    own.build((None,))
    for scalar_mix_layer in (mix, own.scalar_mix):
        scalar_mix_layer.layer_weights.assign([0.7, -1.3, 2.1])
        scalar_mix_layer.gamma.assign(1.7)
    np.testing.assert_allclose(mix(features), own(SENTENCES), rtol=1e-5, atol=1e-6)


def test_random_weights(source: str) -> None:
    keras.utils.set_random_seed(1)
    first = ElmoEmbeddingLayer(TINY)(SENTENCES)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(ElmoEmbeddingLayer(TINY)(SENTENCES), first)
    assert np.abs(first - ElmoEmbeddingLayer(source)(SENTENCES)).max() > 1e-3


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"output_mode": "pooled"},
            ValueError,
            "output_mode must be one of 'default', 'elmo",
        ),
        (
            {"input_mode": "word"},
            ValueError,
            "input_mode must be one of 'sentences', 'tokens'",
        ),
        (
            {"fine_tune": True},
            ValueError,
            "fine_tune must be one of 'aggregation', .* got True",
        ),
        ({"engine": "tf"}, ValueError, "engine must be one of 'native', 'hub'; got 'tf'"),
        ({"max_tokens": -1}, ValueError, "max_tokens must be a positive integer; got -1"),
        ({"pad_token": None}, TypeError, "pad_token must be a string; got None"),
        (
            {"source": 3},
            TypeError,
            "source must be a name, a path, a URL or an ElmoConfig; got 3",
        ),
    ],
)
def test_refuses(
    source: str, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ElmoEmbeddingLayer(**{"source": source, **arguments})


def test_refuses_a_layer_that_the_model_does_not_have() -> None:
    import dataclasses

    shallow = dataclasses.replace(TINY, n_layers=1)
    with pytest.raises(
        ValueError, match="'lstm_outputs2' needs 2 LSTM layers; this model has 1"
    ):
        ElmoEmbeddingLayer(shallow, "lstm_outputs2")
    assert ElmoEmbeddingLayer(shallow, "layers")(["a"]).shape == (1, 1, 2, 16)


def test_refuses_inputs(source: str) -> None:
    layer = ElmoEmbeddingLayer(source)
    with pytest.raises(TypeError, match="expected strings, got None of type NoneType"):
        layer(["a", None])
    with pytest.raises(ValueError, match="use input_mode='tokens'"):
        layer([["a", "b"]])
    with pytest.raises(TypeError, match=r"takes strings of shape .* got int32"):
        layer(tf.constant([1]))
