from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_elmo
from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, NamedModel
from keras_elmo.command import main
from keras_elmo.weights.named_models import MODELS
from keras_elmo.weights.names import MIX_GAMMA, MIX_WEIGHTS
from keras_elmo.weights.sources import load_source, save_model
from tests.file_server import serving
from tests.tf_hub_modules import write_module
from tests.tiny_models import TINY, random_arrays, saved_model

SENTENCES = ["The river bank", "Bank", "and another one , longer"]
# Counted by hand from the sizes of TINY.
PARAMETERS = {
    "character_embedding": 261 * 4,
    "convolutions": (4 * 4 + 4) + (2 * 4 * 6 + 6) + (3 * 4 * 8 + 8),
    "highways": 2 * 2 * (18 * 18 + 18),
    "projection": 18 * 8 + 8,
    "lstms": 4 * (16 * 48 + 48 + 12 * 8),
    "total": 6390,
}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_ELMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, to see that nothing else is left in it."""
    path = tmp_path / "work"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; returns its exit code and what it prints."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run_command


def outputs(source: object, *arguments: str) -> np.ndarray:
    return np.asarray(ElmoEmbeddingLayer(source, *arguments)(SENTENCES))


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


# ---------------------------------------------------------------------------- the command


def test_the_command_as_a_process() -> None:
    root = str(Path(__file__).resolve().parents[1])
    result = subprocess.run(
        [sys.executable, "-m", "keras_elmo.command", "--version"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"keras-elmo {keras_elmo.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "list --help",
        "info --help",
        "verify --help",
        "convert --help",
        "train --help",
        "evaluate --help",
    ],
)
def test_help(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(arguments.split())
    assert "usage: keras-elmo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("explain x", "invalid choice: 'explain'"),
        ("info", "the following arguments are required: SOURCE"),
        ("convert x", "the following arguments are required: OUT"),
        ("convert x y --to pickle", "invalid choice: 'pickle'"),
        ("convert x y --to keras --output-mode all", "invalid choice: 'all'"),
        ("convert x y.zip", "the suffix of 'y.zip' does not tell the format: add --to"),
        ("convert x y --to keras", "--to keras does not fit 'y'"),
        ("convert x y.keras --to hdf5", "--to hdf5 does not fit 'y.keras'"),
        ("convert x y --output-mode elmo", "HDF5 holds a model for every mode"),
        ("convert x y --input-mode tokens", "HDF5 holds a model for every mode"),
        ("convert x .", "OUT must end in the name of a file or directory; got '.'"),
        ("verify x --json --quiet", "not allowed with argument"),
    ],
)
def test_wrong_arguments(
    arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments.split())
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("usage: keras-elmo")
    assert names(folder) == []


@pytest.mark.parametrize("arguments", [["info"], ["verify"], ["convert"]])
def test_a_missing_source(arguments: list[str], folder: Path, run: Run) -> None:
    out = ["out"] if arguments == ["convert"] else []
    code, printed, error = run(*arguments, "nowhere", *out)
    assert (code, printed) == (1, "")
    assert error.startswith("keras-elmo: error: source 'nowhere': there is no file")
    assert error.count("\n") == 1
    assert names(folder) == []


# ----------------------------------------------------------------------------------- info


def test_info_of_hdf5(source: str, run: Run) -> None:
    code, printed, error = run("info", source, "--json")
    assert (code, error) == (0, "")
    size = sum(path.stat().st_size for path in Path(source).iterdir())
    configuration = json.loads(json.dumps(dataclasses.asdict(TINY)))
    assert json.loads(printed) == {
        "source": source,
        "kind": "HDF5",
        "path": source,
        "downloaded": False,
        "bytes": size,
        "configuration": configuration,
        "output_dim": 16,
        "parameters": PARAMETERS,
        "scalar_mix": None,
        "named_model": None,
    }
    assert sum(PARAMETERS.values()) == 2 * PARAMETERS["total"]


def test_info_as_text(source: str, run: Run) -> None:
    code, printed, error = run("info", source)
    assert (code, error) == (0, "")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for line in (
        source,
        "kind HDF5",
        f"path {source}",
        "size 54.9 kB",
        "filters 4 of width 1, 6 of width 2, 8 of width 3",
        "cell_clip 3.0",
        "output_dim 16",
        "lstms 3,648",
        "total 6,390",
        "none a layer starts with equal shares and the scale 1",
    ):
        assert line in lines


def test_info_of_an_unusual_model(tmp_path: Path, run: Run) -> None:
    """No highways, no projections, no clips."""
    config = ElmoConfig(
        filters=((1, 6),), n_highway=0, dim=6, projection_dim=6, cell_clip=None, n_layers=1
    )
    path = saved_model(tmp_path / "model", config)
    _, printed, _ = run("info", path / "weights.hdf5", "--json")
    assert json.loads(printed)["parameters"] == {
        "character_embedding": 261 * 16,
        "convolutions": 16 * 6 + 6,
        "highways": 0,
        "projection": 0,
        "lstms": 2 * (12 * 24 + 24),
        "total": config.n_parameters,
    }
    assert json.loads(printed)["bytes"] == (path / "weights.hdf5").stat().st_size
    assert "cell_clip none" in " ".join(run("info", path)[1].split())


def test_info_of_an_archive(source: str, tmp_path: Path, run: Run) -> None:
    archive = tmp_path / "tiny.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in Path(source).iterdir():
            file.write(path, path.name)
    _, printed, _ = run("info", archive, "--json")
    found = json.loads(printed)
    assert found["kind"] == "zip archive"
    assert found["bytes"] == archive.stat().st_size
    assert found["parameters"] == PARAMETERS


def test_info_of_a_module(module: Path, run: Run) -> None:
    _, printed, _ = run("info", module, "--json")
    found = json.loads(printed)
    assert found["kind"] == "TF1 Hub module"
    assert found["parameters"] == PARAMETERS
    mix = found["scalar_mix"]
    assert (mix["weights"], mix["scale"]) == ([0.3, -0.2, 0.5], 1.3)
    exponents = np.exp([0.3, -0.2, 0.5])
    np.testing.assert_allclose(mix["shares"], exponents / exponents.sum(), atol=1e-6)
    assert found["bytes"] > (module / "saved_model.pb").stat().st_size
    text = " ".join(run("info", module)[1].split())
    assert "weights 0.3, -0.2, 0.5 shares 0.353615, 0.214478, 0.431907 scale 1.3" in text


def test_info_of_a_module_that_is_no_elmo(tmp_path: Path, run: Run) -> None:
    other = tf.Module()
    other.v = tf.Variable(1.0)
    tf.saved_model.save(other, str(tmp_path / "other"))
    code, printed, error = run("info", tmp_path / "other")
    assert (code, printed) == (1, "")
    assert error.startswith("keras-elmo: error: The TF-Hub module")
    assert "is not an ELMo model" in error


def test_named_models(
    source: str, cache: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Path(source, "weights.hdf5").stat().st_size
    with serving(Path(source)) as server:
        urls = {
            "weights_url": f"{server.url}/weights.hdf5",
            "options_url": f"{server.url}/options.json",
        }
        text = {"description": "Tiny", "licence": "Free", "citation": "Nobody. 2018."}
        model = NamedModel(name="tiny", size=size, sha256=None, **urls, **text)
        monkeypatch.setitem(MODELS, "tiny", model)

        code, printed, _ = run("list")
        assert code == 0
        assert "original (374.4 MB, not downloaded)\n  93.6 million" in printed
        assert "medium (size unknown, not downloaded)" in printed
        assert printed.startswith("mini (8.0 MB, in the package)\n  4.0 million")
        assert "tiny (0.0 MB" not in printed
        assert "tiny (54.4 kB, not downloaded)\n  Tiny.\n  Licence: Free" in printed
        assert f"The cache is {str(cache)!r}." in printed
        assert server.requests == []

        code, printed, _ = run("info", "tiny", "--json")
    found = json.loads(printed)
    assert found["named_model"] == dataclasses.asdict(model)
    assert found["downloaded"] is True
    assert Path(found["path"]).is_relative_to(cache)
    assert found["bytes"] == size

    printed = run("info", "tiny")[1]
    assert f"{found['path']} (downloaded)" in printed
    assert "licence      Free" in printed
    assert "citation     Nobody. 2018." in printed
    listed = json.loads(run("list", "--json")[1])
    assert {entry["name"]: entry["cached"] for entry in listed} == {
        "mini": True,
        "original": False,
        "original-5.5b": False,
        "medium": False,
        "small": False,
        "tiny": True,
    }


def test_info_of_the_embedded_model(run: Run) -> None:
    found = json.loads(run("info", "mini", "--json")[1])
    assert found["path"] == str(MODELS["mini"].embedded_path / "weights.hdf5")
    assert found["downloaded"] is False
    assert found["bytes"] == MODELS["mini"].size
    assert found["parameters"]["total"] == 3_966_928
    assert "(downloaded)" not in run("info", "mini")[1]


# -------------------------------------------------------------------------------- convert


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


# -------------------------------------------------------------- convert: what is in the way


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


# --------------------------------------------------------------------------------- verify


def test_verify(module: Path, run: Run) -> None:
    code, printed, error = run("verify", module, "--json")
    assert (code, error) == (0, "")
    found = json.loads(printed)
    assert found["path"] == str(module)
    assert found["tolerance"] == 1e-4
    assert sorted(found["errors"]) == [
        f"{signature}/{output}"
        for signature in ("default", "tokens")
        for output in ("default", "elmo", "lstm_outputs1", "lstm_outputs2", "word_emb")
    ]
    assert all(0 <= value < 1e-5 for value in found["errors"].values())


def test_verify_as_text(module: Path, run: Run) -> None:
    code, printed, _ = run("verify", module)
    assert code == 0
    heading, *rows = printed.split("\n\n")[0].splitlines()
    assert heading.split() == ["output", "largest", "difference"]
    assert len(rows) == 10
    assert all(float(row.split()[1]) < 1e-5 for row in rows)
    assert "no difference is above 1e-04" in printed


def test_verify_quietly(module: Path, run: Run) -> None:
    assert run("verify", module, "-q") == (0, "", "")


def test_verify_of_hdf5(source: str, run: Run) -> None:
    code, printed, error = run("verify", source)
    assert (code, printed) == (1, "")
    assert f"error: source {source!r} is no TF1 Hub module" in error
