"""engine="hub": the module's own graph, frozen, under the layer's mix."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError
from keras_elmo.hub.module import HubModule
from keras_elmo.types import OutputMode
from tests.hub.tf_hub_modules import MIX, STYLES, Style, write_module, write_other_module
from tests.processes import LOAD_AND_PREDICT, SERVE, run_python
from tests.test_saving import SENTENCES
from tests.tiny_models import TINY

MODULE_OUTPUTS = {"default", "elmo", "word_emb", "lstm_outputs1", "lstm_outputs2"}


@pytest.mark.parametrize("mode", get_args(OutputMode))
def test_both_engines_agree(module: Path, mode: str) -> None:
    ours = ElmoEmbeddingLayer(module, mode)(SENTENCES)
    layer = ElmoEmbeddingLayer(module, mode, engine="hub")
    np.testing.assert_allclose(layer(SENTENCES), ours, atol=1e-5)
    assert layer.compute_output_shape((4,))[-1] == ours.shape[-1]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_style(tmp_path: Path, style: Style) -> None:
    path = write_module(tmp_path / "module", style=style)
    ours = ElmoEmbeddingLayer(path, "elmo")(SENTENCES)
    layer = ElmoEmbeddingLayer(path, "elmo", engine="hub")
    np.testing.assert_allclose(layer(SENTENCES), ours, atol=1e-5)


def test_both_signatures_and_all_outputs(module: Path) -> None:
    """The layer is the module, whichever signature is asked."""
    loaded = tf.saved_model.load(str(module), tags=[])
    tokens = [["New", "York", "is", "big"], ["ok", "", "", ""]]
    results = {
        "sentences": loaded.signatures["default"](strings=tf.constant(SENTENCES[:2])),
        "tokens": loaded.signatures["tokens"](
            tokens=tf.constant(tokens), sequence_len=tf.constant([4, 1])
        ),
    }
    inputs = {"sentences": SENTENCES[:2], "tokens": tokens}
    for engine in ("native", "hub"):
        for input_mode, outputs in results.items():
            assert set(outputs) == MODULE_OUTPUTS
            for mode, expected in outputs.items():
                layer = ElmoEmbeddingLayer(module, mode, input_mode, engine=engine)
                np.testing.assert_allclose(layer(inputs[input_mode]), expected, atol=1e-5)


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


def test_states_of_the_module_are_not_carried(tmp_path: Path) -> None:
    path = write_module(tmp_path / "module", style=STYLES["bilm-tf"])
    loaded = tf.saved_model.load(str(path), tags=[])
    sentences = tf.constant(SENTENCES[:1])
    first, second = (loaded.signatures["default"](strings=sentences) for _ in range(2))
    assert np.abs(first["elmo"] - second["elmo"]).max() > 1e-3  # the module's own do
    layer = ElmoEmbeddingLayer(path, engine="hub")
    np.testing.assert_array_equal(layer(SENTENCES[:1]), layer(SENTENCES[:1]))


def test_only_the_mix_trains_and_it_starts_from_the_modules(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, engine="hub", name="elmo")
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    assert [v.path for v in model.trainable_variables[:2]] == [
        "elmo/scalar_mix/layer_weights",
        "elmo/scalar_mix/gamma",
    ]
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


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_losses_are_the_native_engines(module: Path, run_eagerly: bool) -> None:
    texts, labels = np.array(SENTENCES * 2, dtype=object), np.arange(8.0)
    losses = []
    for engine in ("native", "hub"):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((), dtype="string")
        outputs = keras.layers.Dense(1)(ElmoEmbeddingLayer(module, engine=engine)(inputs))
        model = keras.Model(inputs, outputs)
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        history = model.fit(texts, labels, batch_size=4, epochs=2, shuffle=False, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_a_gradient_tape_does_not_look_into_the_old_graph(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, engine="hub")
    layer(SENTENCES)
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(SENTENCES)))
    native = ElmoEmbeddingLayer(module)
    native(SENTENCES)
    with tf.GradientTape() as native_tape:
        native_loss = tf.reduce_sum(tf.square(native(SENTENCES)))
    expected = native_tape.gradient(
        native_loss, [v.value for v in native.trainable_variables]
    )
    for one, other in zip(tape.gradient(loss, variables), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.fixture
def lost_module(module: Path, tmp_path: Path) -> Path:
    """A copy that tests delete, to show that it is not needed again."""
    return Path(shutil.copytree(module, tmp_path / "lost"))


@pytest.mark.parametrize("mode", ["default", "elmo"])
def test_keras_files_hold_the_module(lost_module: Path, tmp_path: Path, mode: str) -> None:
    inputs = keras.Input((), dtype="string")
    x = ElmoEmbeddingLayer(lost_module, mode, engine="hub")(inputs)
    model = keras.Model(inputs, keras.layers.LSTM(2)(x) if mode == "elmo" else x)
    expected = model.predict(tf.constant(SENTENCES), verbose=0)
    model.save(tmp_path / "once.keras")
    shutil.rmtree(lost_module)
    loaded = keras.saving.load_model(tmp_path / "once.keras")
    loaded.save(tmp_path / "twice.keras")
    np.save(tmp_path / "sentences.npy", np.array(SENTENCES, dtype=object))
    names = ("sentences.npy", "once.keras", "twice.keras")
    run_python(LOAD_AND_PREDICT, *(str(tmp_path / name) for name in names))
    for name in names[1:]:
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), expected)


def test_export(module: Path, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((), dtype="string"), ElmoEmbeddingLayer(module, engine="hub")]
    )
    model.export(tmp_path / "exported", verbose=False)
    served = [float(x) for x in run_python(SERVE, str(tmp_path / "exported")).split()]
    expected = model.predict(tf.constant(SENTENCES), verbose=0)
    np.testing.assert_allclose(served, expected.ravel(), atol=1e-6)


def test_nothing_is_left_in_the_temporary_folder(module: Path, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((), dtype="string"), ElmoEmbeddingLayer(module, engine="hub")]
    )
    model.save(tmp_path / "model.keras")
    (tmp_path / "scratch").mkdir()
    run_python(
        "import os, sys, tempfile, keras, keras_elmo\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "assert os.listdir(sys.argv[2])",
        str(tmp_path / "model.keras"),
        str(tmp_path / "scratch"),
    )
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_copy_without_a_module_says_so(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, engine="hub")
    copy = ElmoEmbeddingLayer.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="has no module: with engine='hub' a copy from"):
        copy(["a"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fine_tune": "all"}, "fine_tune must be 'aggregation'; got 'all'"),
        ({"stateful": True}, "stateful must be False; got True"),
        ({"input_mode": "character_ids"}, "input_mode must be 'sentences' or 'tokens'"),
        ({"source": ElmoConfig()}, "needs a TF1 Hub module as source; got an ElmoConfig"),
    ],
)
def test_refuses(module: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ElmoEmbeddingLayer(**{"source": module, "engine": "hub", **arguments})


def test_refuses_other_modules_and_no_modules(tmp_path: Path, source: str) -> None:
    other = write_other_module(tmp_path / "other")
    with pytest.raises(
        SourceError, match=r"expected a signature 'tokens' .*found \{'default'"
    ):
        ElmoEmbeddingLayer(other, engine="hub")
    with pytest.raises(SourceError, match="Cannot load the TF1 Hub module"):
        ElmoEmbeddingLayer(source, engine="hub")


def test_there_are_no_arrays_to_save(module: Path, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(module, engine="hub")
    layer(["a"])
    with pytest.raises(ValueError, match="engine='hub' the layer holds no arrays"):
        layer.save_hdf5(tmp_path / "out")


def test_another_architecture_runs_where_its_arrays_cannot_be_read(tmp_path: Path) -> None:
    """Without its checkpoint's names a module still has its graph."""
    path = write_module(tmp_path / "module", mix=(np.zeros(3, np.float32), np.float32(1)))
    expected = ElmoEmbeddingLayer(path, "elmo")(SENTENCES)
    layer = ElmoEmbeddingLayer(path, "elmo", engine="hub")
    np.testing.assert_allclose(layer(SENTENCES), expected, atol=1e-5)
    assert layer.config is None
    assert HubModule.from_directory(path).output_dim == TINY.output_dim


def test_mixed_precision(module: Path) -> None:
    layer = ElmoEmbeddingLayer(module, "elmo", engine="hub", dtype="mixed_float16")
    output = layer(SENTENCES)
    assert output.dtype == tf.float16
    np.testing.assert_allclose(
        output, ElmoEmbeddingLayer(module, "elmo")(SENTENCES), atol=0.01
    )
