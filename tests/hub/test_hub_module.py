"""engine="hub": the module's own graph, frozen, under the layer's mix."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError
from keras_elmo.hub import verify
from tests.hub.tf_hub_modules import (
    BILM_TF,
    GOOGLE,
    MIX,
    Style,
    write_module,
    write_other_module,
)
from tests.processes import LOAD_AND_PREDICT, SERVE, run_python
from tests.test_saving import SENTENCES

v1 = tf.compat.v1

MODULE_OUTPUTS = {"default", "elmo", "word_emb", "lstm_outputs1", "lstm_outputs2"}


@pytest.mark.parametrize("mode", ["default", "layers"])
def test_both_engines_agree(module: Path, mode: str) -> None:
    ours = ElmoEmbeddingLayer(module, mode)(SENTENCES)
    layer = ElmoEmbeddingLayer(module, mode, engine="hub")
    np.testing.assert_allclose(layer(SENTENCES), ours, atol=1e-5)
    assert layer.compute_output_shape((4,))[-1] == ours.shape[-1]


@pytest.mark.parametrize("style", [GOOGLE, BILM_TF], ids=["google", "bilm-tf"])
def test_the_layer_is_the_module(tmp_path: Path, style: Style) -> None:
    """Whichever signature is asked, and whatever was before."""
    path = write_module(tmp_path / "module", style=style)
    tokens = [["New", "York", "is", "big"], ["ok", "", "", ""]]
    signatures = tf.saved_model.load(str(path), tags=[]).signatures
    sentences = signatures["default"](strings=tf.constant(SENTENCES[:2]))
    layer = ElmoEmbeddingLayer(path, "elmo", engine="hub")
    for _ in range(2):
        np.testing.assert_allclose(layer(SENTENCES[:2]), sentences["elmo"], atol=1e-5)
    again = signatures["default"](strings=tf.constant(SENTENCES[:2]))
    # The module's own states are carried, in those that have some.
    assert (np.abs(again["elmo"] - sentences["elmo"]).max() > 1e-3) == style.state
    if not style.state:
        arguments = {"tokens": tf.constant(tokens), "sequence_len": tf.constant([4, 1])}
        found = signatures["tokens"](**arguments)
        assert set(found) == MODULE_OUTPUTS
        layer = ElmoEmbeddingLayer(path, "layers", "tokens", engine="hub")
        layers = layer(tokens).numpy()
        np.testing.assert_allclose(layers[..., 0, :8], found["word_emb"], atol=1e-5)
        for k in (1, 2):
            output = found[f"lstm_outputs{k}"]
            np.testing.assert_allclose(layers[:, :, k], output, atol=1e-5)


@pytest.mark.slow
def test_variables_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As TensorFlow 1 has them by default; TensorFlow 2 leaves them in the graph."""
    variable = v1.Variable

    def by_reference(*arguments: object, **settings: object) -> object:
        return variable(*arguments, **{**settings, "use_resource": False})

    with monkeypatch.context() as patch:
        patch.setattr(v1, "Variable", by_reference)
        path = write_module(tmp_path / "module", style=BILM_TF)
    assert max(verify(path).errors.values()) < 1e-5
    expected = ElmoEmbeddingLayer(path, "elmo")(SENTENCES)
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, ElmoEmbeddingLayer(path, "elmo", engine="hub")(inputs))
    for _ in range(2):
        found = model.predict(tf.constant(SENTENCES), verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_masks_and_padding_anywhere(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, "layers", "tokens", engine="hub")
    bare = layer([["a", "New York", "c"]]).numpy()
    tokens = [["", "a", "--PAD--", "New York", "", "c"], ["b", "", "", "", "", ""]]
    padded = layer(tokens)
    mask = [[False, True, False, True, False, True], [True] + [False] * 5]
    np.testing.assert_array_equal(padded._keras_mask, mask)
    np.testing.assert_allclose(padded.numpy()[0, [1, 3, 5]], bare[0], atol=1e-6)
    assert not padded.numpy()[~np.array(mask)].any()


def test_no_sentences_and_no_tokens(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, engine="hub")
    np.testing.assert_array_equal(layer(["", ""]), np.zeros((2, 16)))
    assert layer(np.array([], dtype=object)).shape == (0, 16)
    assert ElmoEmbeddingLayer(module, "elmo", engine="hub")([""]).shape == (1, 1, 16)


def test_only_the_mix_trains_and_it_starts_from_the_modules(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, engine="hub", name="elmo")
    assert layer.config is None
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    names = [v.path.removeprefix("elmo/scalar_mix/") for v in model.trainable_variables]
    assert names[:2] == ["layer_weights", "gamma"]
    np.testing.assert_array_equal(layer.scalar_mix.layer_weights, MIX[0])
    np.testing.assert_array_equal(layer.scalar_mix.gamma, MIX[1])
    before = [v.numpy() for v in model.trainable_variables]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(np.array(SENTENCES, dtype=object), np.arange(4.0), verbose=0)
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert (variable.numpy() != old).any(), variable.path
    layer.trainable = False
    assert layer.trainable_variables == []
    layer.trainable = True
    assert len(layer.trainable_variables) == 2


def test_losses_are_the_native_engines(module: Path) -> None:
    """A gradient tape does not look into the old graph, whose loops have no gradient."""
    texts, labels = np.array(SENTENCES * 2, dtype=object), np.arange(8.0)
    losses = []
    for engine in ("native", "hub"):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((), dtype="string")
        outputs = keras.layers.Dense(1)(ElmoEmbeddingLayer(module, engine=engine)(inputs))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "mse", run_eagerly=True)
        history = model.fit(texts, labels, batch_size=4, epochs=2, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.slow
def test_files_hold_the_module(module: Path, tmp_path: Path) -> None:
    lost = shutil.copytree(module, tmp_path / "lost")
    inputs = keras.Input((), dtype="string")
    vectors = ElmoEmbeddingLayer(lost, "elmo", engine="hub")(inputs)
    model = keras.Model(inputs, keras.layers.LSTM(2)(vectors))
    expected = model.predict(tf.constant(SENTENCES), verbose=0)
    model.save(tmp_path / "once.keras")
    model.export(tmp_path / "exported", verbose=False)
    shutil.rmtree(lost)
    loaded = keras.saving.load_model(tmp_path / "once.keras")
    loaded.save(tmp_path / "twice.keras")
    np.save(tmp_path / "sentences.npy", np.array(SENTENCES, dtype=object))
    (tmp_path / "scratch").mkdir()
    names = ("sentences.npy", "once.keras", "twice.keras")
    run_python(
        f"import os, tempfile\ntempfile.tempdir = {str(tmp_path / 'scratch')!r}\n"
        f"{LOAD_AND_PREDICT}\nassert os.listdir(tempfile.tempdir)",
        *(str(tmp_path / name) for name in names),
    )
    for name in names[1:]:
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), expected)
    assert list((tmp_path / "scratch").iterdir()) == []  # as the process ends
    served = [float(x) for x in run_python(SERVE, str(tmp_path / "exported")).split()]
    np.testing.assert_allclose(served, expected.ravel(), atol=1e-6)


def test_what_a_layer_without_a_module_or_arrays_says(module: Path, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(module, engine="hub")
    copy = ElmoEmbeddingLayer.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="has no module: with engine='hub', a copy from"):
        copy(["a"])
    with pytest.raises(ValueError, match="has no module: with engine='hub', a copy from"):
        keras.Sequential([keras.Input((), dtype="string"), copy]).save(tmp_path / "a.keras")
    layer(["a"])
    with pytest.raises(ValueError, match="a layer with engine='hub' has no arrays"):
        layer.save_hdf5(tmp_path / "out")
    with pytest.raises(ValueError, match="use_arrays: a layer with engine='hub' has no"):
        layer.use_arrays({})
    with pytest.raises(ValueError, match="cache_vocabulary: needs engine='native' and"):
        layer.cache_vocabulary(["a"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fine_tune": "all"}, "fine_tune must be 'aggregation'; got 'all'"),
        ({"stateful": True}, "stateful must be False; got True"),
        ({"input_mode": "character_ids"}, "input_mode must be 'sentences' or 'tokens'"),
        (
            {"keep_sentence_boundaries": True, "output_mode": "elmo"},
            "boundaries must be False; got True",
        ),
        ({"source": ElmoConfig()}, "needs a TF1 Hub module as source; got an ElmoConfig"),
    ],
)
def test_refuses(module: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ElmoEmbeddingLayer(**{"source": module, "engine": "hub", **arguments})


def test_refuses_other_modules_and_no_modules(
    module: Path, tmp_path: Path, source: str
) -> None:
    other = write_other_module(tmp_path / "other")
    with pytest.raises(SourceError, match="the operation 'StringToHashBucketFast'"):
        ElmoEmbeddingLayer(other, engine="hub")
    with pytest.raises(SourceError, match="Cannot load the TF1 Hub module"):
        ElmoEmbeddingLayer(source, engine="hub")
    path = shutil.copytree(module, tmp_path / "one_signature") / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    del saved.meta_graphs[0].signature_def["tokens"]
    path.write_bytes(saved.SerializeToString())
    with pytest.raises(
        SourceError, match=r"expected a signature 'tokens' .*found \{'default'"
    ):
        ElmoEmbeddingLayer(path.parent, engine="hub")


def test_mixed_precision(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, "elmo", engine="hub", dtype="mixed_float16")
    output = layer(SENTENCES)
    assert output.dtype == tf.float16
    np.testing.assert_allclose(
        output, ElmoEmbeddingLayer(module, "elmo")(SENTENCES), atol=0.01
    )
