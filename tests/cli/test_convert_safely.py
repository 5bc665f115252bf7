"""``keras-elmo convert``: what is in the way stays, and nothing half-written does."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.hub.sources import load_source
from tests.cli.runs import SENTENCES, Run, names, outputs
from tests.hub.tf_hub_modules import write_module
from tests.tiny_models import TINY, random_arrays, saved_model


def test_existing_output_stays(source: str, folder: Path, run: Run) -> None:
    (folder / "out").mkdir()
    (folder / "out.keras").write_text("mine")
    for out in ("out", "out.keras"):
        code, printed, error = run("convert", source, out)
        assert (code, printed) == (1, "")
        expected = f"{out!r} exists. Name another place, or replace it by --force.\n"
        assert error == f"keras-elmo: error: {expected}"
    assert names(folder) == ["out", "out.keras"]
    assert names(folder / "out") == []
    assert (folder / "out.keras").read_text() == "mine"


def test_force_replaces_a_conversion(
    source: str, tmp_path: Path, folder: Path, run: Run
) -> None:
    saved_model(folder / "out", seed=1)
    (folder / "out.keras").write_text("damaged")
    for out in ("out", "out.keras"):
        assert run("convert", source, out, "--force", "-q") == (0, "", "")
    assert names(folder) == ["out", "out.keras"]
    assert names(folder / "out") == ["options.json", "weights.hdf5"]
    np.testing.assert_array_equal(outputs("out", "elmo"), outputs(source, "elmo"))
    model = keras.saving.load_model("out.keras")
    np.testing.assert_allclose(model(tf.constant(SENTENCES)), outputs(source), atol=1e-6)
    # A model over itself.
    assert run("convert", "out", "out", "--force", "-q") == (0, "", "")
    np.testing.assert_array_equal(outputs("out", "elmo"), outputs(source, "elmo"))


def test_force_takes_nothing_else(source: str, folder: Path, run: Run) -> None:
    """A wrong OUT must not cost a home directory."""
    saved_model(folder / "home")
    (folder / "home" / "thesis.txt").write_text("mine")
    (folder / "dir.keras").mkdir()
    (folder / "file").write_text("mine")
    for out in ("home", "dir.keras", "file"):
        code, _, error = run("convert", source, out, "--force")
        assert code == 1
        assert f"{out!r} is or holds something other than --to" in error
    assert names(folder) == ["dir.keras", "file", "home"]
    assert names(folder / "home") == ["options.json", "thesis.txt", "weights.hdf5"]


def test_a_link_is_replaced_and_not_followed(
    source: str, tmp_path: Path, folder: Path, run: Run
) -> None:
    saved_model(tmp_path / "elsewhere", seed=1)
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    assert run("convert", source, "out")[0] == 1
    assert run("convert", source, "out", "--force", "-q") == (0, "", "")
    assert not (folder / "out").is_symlink()
    _, arrays, _ = load_source(tmp_path / "elsewhere")
    np.testing.assert_array_equal(
        arrays["char_embed"], random_arrays(TINY, 1)["char_embed"]
    )


def test_a_missing_directory(source: str, folder: Path, run: Run) -> None:
    code, _, error = run("convert", source, "a/b")
    assert code == 1
    assert error == "keras-elmo: error: There is no directory 'a': make it first.\n"
    assert names(folder) == []


def test_a_directory_that_cannot_be_written(
    source: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdtemp(*arguments: object) -> str:
        raise PermissionError(13, "Permission denied", "a")

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    code, _, error = run("convert", source, "out")
    assert code == 1
    assert error == "keras-elmo: error: [Errno 13] Permission denied: 'a'\n"


def test_a_full_disk_leaves_nothing(
    source: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(model: keras.Model, path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    def save_graph(module: tf.Module, path: str, signatures: object) -> None:
        Path(path).mkdir()
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", save)
    monkeypatch.setattr(tf.saved_model, "save", save_graph)
    for arguments in (["out.keras"], ["out", "--to", "savedmodel"]):
        code, printed, error = run("convert", source, *arguments)
        assert (code, printed) == (1, "")
        assert re.fullmatch(r"keras-elmo: error: .* No space left on device\n", error)
        assert names(folder) == []


def test_other_output_leaves_nothing(
    source: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ElmoEmbeddingLayer(saved_model(folder.parent / "other", seed=1))
    monkeypatch.setattr(keras.saving, "load_model", lambda path: other)
    code, printed, error = run("convert", source, "out.keras")
    assert (code, printed) == (1, "")
    assert error.startswith(
        "keras-elmo: error: What was written and loaded again differs from the source by"
    )
    assert names(folder) == []


def test_what_came_meanwhile_stays(
    source: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = keras.Model.save

    def save_late(model: keras.Model, path: Path) -> None:
        save(model, path)
        (folder / "out.keras").write_text("of another process")

    monkeypatch.setattr(keras.Model, "save", save_late)
    code, _, error = run("convert", source, "out.keras")
    assert code == 1
    assert "'out.keras' exists" in error
    assert (folder / "out.keras").read_text() == "of another process"
    assert names(folder) == ["out.keras"]


def test_what_cannot_be_renamed_puts_the_old_back(
    source: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_model(folder / "out", seed=1)
    rename = Path.rename

    def stubborn(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stubborn)
    assert run("convert", source, "out", "--force")[0] == 1
    assert names(folder) == ["out"]
    _, arrays, _ = load_source("out")
    np.testing.assert_array_equal(
        arrays["char_embed"], random_arrays(TINY, 1)["char_embed"]
    )


def test_an_output_that_the_model_does_not_have(
    tmp_path: Path, folder: Path, run: Run
) -> None:
    config = dataclasses.replace(TINY, n_layers=1)
    shallow = saved_model(tmp_path / "shallow", config)
    code, _, error = run("convert", shallow, "o.keras", "--output-mode", "lstm_outputs2")
    assert code == 1
    assert "output_mode='lstm_outputs2' needs 2 LSTM layers; this model has 1." in error
    assert names(folder) == []


def test_a_module_that_computes_something_else(
    tmp_path: Path, folder: Path, run: Run
) -> None:
    """Without skip connections, which nothing in its files says."""
    config = dataclasses.replace(TINY, use_skip_connections=False)
    path = write_module(tmp_path / "module", config)
    for arguments in (["convert", path, "out"], ["verify", path]):
        code, printed, error = run(*arguments)
        assert (code, printed) == (1, "")
        assert error.startswith("keras-elmo: error: The layer does not compute what")
        assert "tokens/lstm_outputs2 by" in error
    assert names(folder) == []
