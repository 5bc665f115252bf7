"""``keras-elmo convert``: what it writes."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_elmo
from keras_elmo.hub.sources import load_source
from keras_elmo.weights.names import MIX_GAMMA, MIX_WEIGHTS
from keras_elmo.weights.sources import save_model
from tests.cli.runs import PARAMETERS, SENTENCES, Run, names, outputs
from tests.tiny_models import TINY, random_arrays


def test_to_hdf5(source: str, folder: Path, run: Run) -> None:
    code, printed, error = run("convert", source, "out")
    assert (code, error) == (0, "")
    assert names(folder) == ["out"]
    assert names(folder / "out") == ["options.json", "weights.hdf5"]
    config, arrays, _ = load_source("out")
    assert config == TINY
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(arrays[name], expected)
    assert "Wrote 'out' (54.9 kB)." in printed
    assert "gives the same vectors for 3 sentences" in printed
    assert "layer = keras_elmo.ElmoEmbeddingLayer('out')" in printed
    assert "Left out" not in printed


def test_a_module_to_hdf5(
    module: Path, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_ELMO_VERIFY", "0")
    code, printed, _ = run("convert", module, "out", "--to", "hdf5")
    assert code == 0
    _, arrays, _ = load_source("out")
    assert not {MIX_WEIGHTS, MIX_GAMMA} & arrays.keys()
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(arrays[name], expected)
    assert "scalar mix (weights [0.3, -0.2, 0.5], scale 1.3), for which HDF5" in printed


def test_a_module_to_keras(module: Path, folder: Path, run: Run) -> None:
    """The mix goes with it."""
    code, printed, _ = run("convert", module, "out.keras")
    assert code == 0
    assert names(folder) == ["out.keras"]
    model = keras.saving.load_model("out.keras")
    found = model(tf.constant(SENTENCES))
    np.testing.assert_allclose(found, outputs(module), atol=1e-6)
    assert found.shape == (3, 16)
    assert "model = keras.saving.load_model('out.keras')" in printed
    assert "Left out" not in printed


def test_to_keras_with_other_modes(source: str, folder: Path, run: Run) -> None:
    modes = ["--output-mode", "lstm_outputs2", "--input-mode", "tokens"]
    code, printed, _ = run("convert", source, "out.keras", *modes)
    assert code == 0
    model = keras.saving.load_model("out.keras")
    rows = [sentence.split() for sentence in SENTENCES]
    found = model(tf.ragged.constant(rows).to_tensor(""))
    np.testing.assert_allclose(found, outputs(source, "lstm_outputs2"), atol=1e-6)
    assert 'model(tf.constant([["The", "river", "bank"]]))' in printed


def test_to_a_saved_model(
    module: Path, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_ELMO_VERIFY", "0")
    code, printed, _ = run("convert", module, "out.v1", "--to", "savedmodel")
    assert code == 0
    assert names(folder) == ["out.v1"]
    exported = tf.saved_model.load("out.v1")
    found = exported.serve(tf.constant(SENTENCES))
    np.testing.assert_allclose(found, outputs(module), atol=1e-6)
    assert "exported = tf.saved_model.load('out.v1')" in printed
    named = exported.signatures["default"](tf.constant(SENTENCES))
    np.testing.assert_allclose(named["elmo"], outputs(module, "elmo"), atol=1e-6)
    # The weights are there once.
    data = Path("out.v1", "variables", "variables.data-00000-of-00001").stat().st_size
    assert 4 * PARAMETERS["total"] < data < 1.3 * 4 * PARAMETERS["total"]
    # The loops of TensorFlow 1 are gone.
    assert b"NextIteration" in (module / "saved_model.pb").read_bytes()
    assert b"NextIteration" not in Path("out.v1", "saved_model.pb").read_bytes()


def test_to_a_saved_model_that_takes_ids(source: str, folder: Path, run: Run) -> None:
    modes = ["--output-mode", "elmo", "--input-mode", "character_ids"]
    code, printed, _ = run("convert", source, "out", "--to", "savedmodel", *modes)
    assert code == 0
    ids = keras_elmo.batch_to_character_ids([sentence.split() for sentence in SENTENCES])
    exported = tf.saved_model.load("out")
    np.testing.assert_allclose(
        exported.serve(tf.constant(ids)), outputs(source, "elmo"), atol=1e-6
    )
    assert "exported.serve(ids)\n    # ids: int32 (batch, time, 50), from" in printed


def test_a_model_of_zeros(tmp_path: Path, folder: Path, run: Run) -> None:
    save_model(tmp_path / "zeros", TINY, random_arrays(TINY, scale=0))
    code, printed, _ = run("convert", tmp_path / "zeros", "out")
    assert code == 0
    assert "differ by at most 0.0e+00" in printed
