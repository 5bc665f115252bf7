"""``keras-elmo convert``: what it writes, and that nothing half-written stays."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer, batch_to_character_ids
from keras_elmo.hub.sources import load_source
from keras_elmo.pretraining.softmax_file import load_softmax
from keras_elmo.weights.sources import save_model
from tests.cli.conftest import Run, names
from tests.hub.bilm_checkpoints import VOCABULARY, write_checkpoint
from tests.tiny_models import TINY, random_arrays, saved_model

SENTENCES = ["The river bank", "Bank", "and another one , longer"]
TOKENS = [sentence.split() for sentence in SENTENCES]


Patch = pytest.MonkeyPatch


def outputs(source: object, *arguments: str) -> np.ndarray:
    return np.asarray(ElmoEmbeddingLayer(source, *arguments)(SENTENCES))


def is_of_seed(path: Path | str, seed: int) -> bool:
    found = load_source(path).arrays["char_embed"]
    return np.array_equal(found, random_arrays(TINY, seed)["char_embed"])


@pytest.fixture
def convert(source: str, folder: Path, run: Run) -> Run:
    return partial(run, "convert", source)


@pytest.fixture
def unverified(monkeypatch: Patch) -> None:
    """Saves the time of comparing a module with the layer."""
    monkeypatch.setenv("KERAS_ELMO_VERIFY", "0")


@pytest.mark.usefixtures("unverified", "folder")
@pytest.mark.parametrize("is_module", [False, True])
def test_to_hdf5(is_module: bool, source: str, module: Path, run: Run) -> None:
    code, printed, error = run("convert", module if is_module else source, "out")
    assert (code, error) == (0, "")
    assert names(Path()) == ["out"]
    assert names(Path("out")) == ["options.json", "weights.hdf5"]
    config, arrays, _ = load_source("out")
    assert config == TINY
    assert arrays.keys() == random_arrays(TINY).keys()  # HDF5 has no place for a mix
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(arrays[name], expected)
    assert "Wrote 'out' (54.9 kB)." in printed
    assert "gives the same vectors for 3 sentences" in printed
    assert "layer = keras_elmo.ElmoEmbeddingLayer('out')" in printed
    left_out = "Left out: the source's scalar mix (weights [0.3, -0.2, 0.5], scale 1.3)"
    assert (left_out in printed) is is_module


@pytest.mark.usefixtures("folder")
def test_a_checkpoint_with_its_softmax(run: Run) -> None:
    checkpoint = write_checkpoint(Path("t"))
    assert "checkpoint of bilm-tf" in run("info", "t")[1]
    assert run("convert", "t", "plain", "-q") == (0, "", "")
    assert names(Path("plain")) == ["options.json", "weights.hdf5"]
    (checkpoint / "vocab.txt").write_text(VOCABULARY)
    code, printed, _ = run("convert", "t", "plain", "--force")
    assert (code, "With it: the softmax for 7 words, in soft" in printed) == (0, True)
    expected, found = load_softmax(checkpoint, 8), load_softmax(Path("plain"), 8)
    assert found.vocabulary.words == expected.vocabulary.words
    np.testing.assert_array_equal(found.kernel, expected.kernel)
    assert run("convert", "plain", "again", "-q")[0] == 0
    assert names(Path("again")) == names(Path("plain"))


@pytest.mark.usefixtures("unverified")
def test_to_keras(module: Path, source: str, convert: Run, run: Run) -> None:
    """A module's mix goes with it."""
    code, printed, _ = run("convert", module, "out.keras")
    assert code == 0
    found = keras.saving.load_model("out.keras")(tf.constant(SENTENCES))
    np.testing.assert_allclose(found, outputs(module), atol=1e-6)
    assert found.shape == (3, 16)
    assert "model = keras.saving.load_model('out.keras')" in printed
    assert "Left out" not in printed

    modes = ["--output-mode", "lstm_outputs2", "--input-mode", "tokens"]
    code, printed, _ = convert("tokens.keras", *modes)
    assert code == 0
    padded = tf.ragged.constant(TOKENS).to_tensor("")
    found = keras.saving.load_model("tokens.keras")(padded)
    np.testing.assert_allclose(found, outputs(source, "lstm_outputs2"), atol=1e-6)
    assert 'model(tf.constant([["The", "river", "bank"]]))' in printed
    assert names(Path()) == ["out.keras", "tokens.keras"]


@pytest.mark.slow
@pytest.mark.usefixtures("unverified", "folder")
def test_to_a_saved_model(module: Path, run: Run) -> None:
    """tests/hub/test_saved_model.py has what is in it."""
    code, printed, _ = run("convert", module, "out.v1", "--to", "savedmodel")
    assert code == 0
    assert names(Path()) == ["out.v1"]
    exported = tf.saved_model.load("out.v1")
    found = exported.serve(tf.constant(SENTENCES))
    np.testing.assert_allclose(found, outputs(module), atol=1e-6)
    assert "exported = tf.saved_model.load('out.v1')" in printed
    named = exported.signatures["default"](tf.constant(SENTENCES))
    np.testing.assert_allclose(named["elmo"], outputs(module, "elmo"), atol=1e-6)


@pytest.mark.slow
def test_to_a_saved_model_that_takes_ids(source: str, convert: Run) -> None:
    modes = ["--output-mode", "elmo", "--input-mode", "character_ids"]
    code, printed, _ = convert("out", "--to", "savedmodel", *modes)
    assert code == 0
    ids = tf.constant(batch_to_character_ids(TOKENS))
    exported = tf.saved_model.load("out")
    np.testing.assert_allclose(exported.serve(ids), outputs(source, "elmo"), atol=1e-6)
    assert "exported.serve(ids)\n    # ids: int32 (batch, time, 50), from" in printed


def test_models_of_zeros_and_of_one_layer(tmp_path: Path, folder: Path, run: Run) -> None:
    save_model(tmp_path / "zeros", TINY, random_arrays(TINY, scale=0))
    assert (
        "for 3 sentences (they are equal)" in run("convert", tmp_path / "zeros", "out")[1]
    )
    shallow = saved_model(tmp_path / "shallow", dataclasses.replace(TINY, n_layers=1))
    code, _, error = run("convert", shallow, "o.keras", "--output-mode", "lstm_outputs2")
    assert code == 1
    assert "output_mode='lstm_outputs2' needs 2 LSTM layers; this model has 1." in error
    assert names(folder) == ["out"]


def test_what_exists_stays(folder: Path, convert: Run) -> None:
    """A wrong OUT must not cost a home directory."""
    saved_model(folder / "home")
    (folder / "home" / "thesis.txt").write_text("mine")
    for name in ("empty", "dir.keras"):
        (folder / name).mkdir()
    for name in ("mine", "mine.keras"):
        (folder / name).write_text("mine")
    exists = "exists. Choose another path, or --force, which replaces it."
    for out in ("empty", "mine.keras"):
        assert convert(out)[2] == f"keras-elmo: error: {out!r} {exists}\n"
    for out in ("home", "dir.keras", "mine"):
        error = convert(out, "--force")[2]
        assert error.startswith(f"keras-elmo: error: {out!r} is or holds something other")
    assert names(folder) == ["dir.keras", "empty", "home", "mine", "mine.keras"]
    assert names(folder / "home") == ["options.json", "thesis.txt", "weights.hdf5"]
    assert names(folder / "empty") == names(folder / "dir.keras") == []
    assert (folder / "mine.keras").read_text() == (folder / "mine").read_text() == "mine"


def test_force_replaces_a_conversion(
    source: str, tmp_path: Path, folder: Path, convert: Run, run: Run
) -> None:
    """A link is replaced and not followed; a model may be converted over itself."""
    elsewhere = saved_model(tmp_path / "elsewhere", seed=1)
    (folder / "link").symlink_to(elsewhere)
    saved_model(folder / "out", seed=1)
    (folder / "out.keras").write_text("damaged")
    assert convert("link")[0] == 1
    for out in ("out", "out.keras", "link"):
        assert convert(out, "--force", "-q") == (0, "", "")
    assert run("convert", "out", "out", "--force", "-q") == (0, "", "")
    assert names(folder) == ["link", "out", "out.keras"]
    assert names(folder / "out") == ["options.json", "weights.hdf5"]
    assert is_of_seed("out", 0)
    model = keras.saving.load_model("out.keras")
    np.testing.assert_allclose(model(tf.constant(SENTENCES)), outputs(source), atol=1e-6)
    assert not (folder / "link").is_symlink()
    assert is_of_seed(elsewhere, 1)


def _no_folder(*arguments: object) -> str:
    raise PermissionError(13, "Permission denied", "a")


def _half_a_file(model: keras.Model, path: Path) -> None:
    path.write_text("half")
    raise OSError(28, "No space left on device")


def _half_a_graph(module: tf.Module, path: str, signatures: object) -> None:
    Path(path).mkdir()
    raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")


def _of_zeros(path: Path) -> Callable[[tf.Tensor], np.ndarray]:
    return lambda texts: np.zeros((len(texts), 16))


@pytest.mark.parametrize(
    ("place", "instead", "out", "error"),
    [
        ("tempfile.mkdtemp", _no_folder, "o", r"1 .*: error: .* Permission denied: 'a'"),
        ("keras.Model.save", _half_a_file, "o.keras", "3 .*: stopped: .* No space left"),
        (
            *("tensorflow.saved_model.save", _half_a_graph, "o --to savedmodel"),
            "3 .*: stopped: .* No space left",
        ),
        ("keras.saving.load_model", _of_zeros, "o.keras", "1 .*: The written model diff"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    place: str, instead: Any, out: str, error: str, convert: Run, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(place, instead)
    code, printed, message = convert(*out.split())
    assert printed == ""
    assert re.match(error, f"{code} {message}")
    assert names(Path()) == []


def test_what_came_meanwhile_stays(convert: Run, monkeypatch: Patch) -> None:
    save = keras.Model.save

    def save_late(model: keras.Model, path: Path) -> None:
        save(model, path)
        Path("out.keras").write_text("of another process")

    monkeypatch.setattr(keras.Model, "save", save_late)
    code, _, error = convert("out.keras")
    assert code == 1
    assert "'out.keras' exists" in error
    assert Path("out.keras").read_text() == "of another process"
    assert names(Path()) == ["out.keras"]


def test_what_cannot_be_renamed_puts_the_old_back(
    folder: Path, convert: Run, monkeypatch: Patch
) -> None:
    saved_model(folder / "out", seed=1)
    rename = Path.rename

    def stubborn(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    assert convert("out", "--force")[0] == 1
    assert names(folder) == ["out"]
    assert is_of_seed("out", 1)
