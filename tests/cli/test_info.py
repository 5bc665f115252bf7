"""``keras-elmo list``, ``info`` and ``verify``."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoConfig
from keras_elmo.hub import verification
from keras_elmo.vectors import open_embeddings
from keras_elmo.weights.named_models import MODELS, NamedModel
from tests.cli.conftest import Run
from tests.hub.tf_hub_modules import write_module
from tests.tiny_models import TINY, saved_model
from tests.weights.file_server import serving

# Counted by hand from the sizes of TINY.
PARAMETERS = {
    "character_embedding": 261 * 4,
    "convolutions": (4 * 4 + 4) + (2 * 4 * 6 + 6) + (3 * 4 * 8 + 8),
    "highways": 2 * 2 * (18 * 18 + 18),
    "projection": 18 * 8 + 8,
    "lstms": 4 * (16 * 48 + 48 + 12 * 8),
    "total": 6390,
}


def test_info_of_hdf5(source: str, run: Run) -> None:
    code, printed, error = run("info", source, "--json")
    assert (code, error) == (0, "")
    assert json.loads(printed) == {
        "source": source,
        "kind": "HDF5",
        "path": source,
        "downloaded": False,
        "bytes": sum(path.stat().st_size for path in Path(source).iterdir()),
        "configuration": {
            name: json.loads(json.dumps(value))
            for name, value in dataclasses.asdict(TINY).items()
            if name not in ("word_dim", "lexicon")
        },
        "output_dim": 16,
        "parameters": PARAMETERS,
        "scalar_mix": None,
        "named_model": None,
    }
    lines = {" ".join(line.split()) for line in run("info", source)[1].splitlines()}
    assert lines >= {
        *(source, "kind HDF5", f"path {source}", "size 54.9 kB", "cell_clip 3.0"),
        "filters 4 of width 1, 6 of width 2, 8 of width 3",
        *("output_dim 16", "lstms 3,648", "total 6,390"),
        "none a layer starts with equal shares and the scale 1",
    }


def test_options_of_another_name(source: str, folder: Path, run: Run) -> None:
    shutil.copy(Path(source, "weights.hdf5"), "w.hdf5")
    shutil.copy(Path(source, "options.json"), "o.txt")
    Path("in.txt").write_text("a b\n")
    options = ("--options", "o.txt")
    code, printed, _ = run("info", "w.hdf5", *options, "--json")
    assert (code, json.loads(printed)["output_dim"]) == (0, 16)
    assert run("convert", "w.hdf5", "out", *options, "-q") == (0, "", "")
    assert run("embed", "in.txt", "v.h5", "--source", "w.hdf5", *options, "-q")[0] == 0
    assert open_embeddings("v.h5")[0].shape == (2, 3, 16)
    code, _, error = run("evaluate", "w.hdf5", "in.txt", *options)
    assert (code, "'w.hdf5' has no softmax" in error) == (1, True)
    code, _, error = run("train", "in.txt", "--out", "t", "--init", "w.hdf5")
    assert (code, "'w.hdf5': its options are not next to it" in error) == (1, True)


def test_info_of_an_unusual_model(tmp_path: Path, run: Run) -> None:
    """No highways, no projections, no clips; and one in an archive."""
    config = ElmoConfig(
        filters=((1, 6),), n_highway=0, dim=6, projection_dim=6, cell_clip=None, n_layers=1
    )
    path = saved_model(tmp_path / "model", config)
    found = json.loads(run("info", path / "weights.hdf5", "--json")[1])
    assert found["parameters"] == {
        **{"character_embedding": 261 * 16, "convolutions": 16 * 6 + 6, "highways": 0},
        **{"projection": 0, "lstms": 2 * (12 * 24 + 24), "total": config.n_parameters},
    }
    assert found["bytes"] == (path / "weights.hdf5").stat().st_size
    assert "cell_clip none" in " ".join(run("info", path)[1].split())

    archive = shutil.make_archive(str(tmp_path / "tiny"), "zip", path)
    in_archive = json.loads(run("info", archive, "--json")[1])
    assert in_archive["kind"] == "zip archive"
    assert in_archive["bytes"] == Path(archive).stat().st_size
    assert in_archive["parameters"] == found["parameters"]


def test_info_of_a_module(module: Path, tmp_path: Path, run: Run) -> None:
    found = json.loads(run("info", module, "--json")[1])
    assert found["kind"] == "TF1 Hub module"
    assert found["parameters"] == PARAMETERS
    mix = found["scalar_mix"]
    assert (mix["weights"], mix["scale"]) == ([0.3, -0.2, 0.5], 1.3)
    exponents = np.exp([0.3, -0.2, 0.5])
    np.testing.assert_allclose(mix["shares"], exponents / exponents.sum(), atol=1e-6)
    assert found["bytes"] > (module / "saved_model.pb").stat().st_size
    text = " ".join(run("info", module)[1].split())
    loading = f"keras_elmo.ElmoEmbeddingLayer({str(module)!r})"
    assert text.startswith(f"{module} size ")
    assert "parameters 6,390 vectors 16 numbers for each token, from 2 LSTM layers" in text
    assert "license not in the files" in text
    assert (
        f"the first 48 bytes of a token; any number of tokens to load it {loading}" in text
    )
    assert "weights 0.3, -0.2, 0.5 shares 0.353615, 0.214478, 0.431907 scale 1.3" in text

    other = tf.Module()
    other.v = tf.Variable(1.0)
    tf.saved_model.save(other, str(tmp_path / "other"))
    code, printed, error = run("info", tmp_path / "other")
    assert (code, printed) == (1, "")
    assert error.startswith("keras-elmo: error: ")
    assert f"The SavedModel in {str(tmp_path / 'other')!r} is not a TF1 Hub module" in error


def test_named_models(
    source: str, cache: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Path(source, "weights.hdf5").stat().st_size
    with serving(Path(source)) as server:
        urls = (f"{server.url}/weights.hdf5", f"{server.url}/options.json")
        text = {"description": "Tiny", "license": "Free", "citation": "Nobody. 2018."}
        text |= {"language": "Greek", "origin": "Me"}
        model = NamedModel("tiny", *urls, size=size, sha256=None, **text)
        monkeypatch.setitem(MODELS, "tiny", model)

        code, printed, _ = run("list")
        assert code == 0
        assert "original (English, 374.4 MB, not downloaded)\n  93.6 million" in printed
        assert "medium (English, size unknown, not downloaded)" in printed
        assert printed.startswith("mini (English, 8.0 MB, in the package)\n  4.0 million")
        tiny = (
            "tiny (Greek, 54.4 kB, not downloaded)\n  Tiny.\n  From: Me\n  License: Free\n"
        )
        assert tiny in printed
        printed = run("list", "--language", "greek")[1]
        assert printed.startswith(tiny)
        code, _, error = run("list", "--language", "Latin")
        assert (code, "error: --language: no named model" in error) == (1, True)
        assert f"The cache is {str(cache)!r}." in printed
        assert server.requests == []
        found = json.loads(run("info", "tiny", "--json")[1])
    assert found["named_model"] == dataclasses.asdict(model)
    assert Path(found["path"]).is_relative_to(cache)
    assert (found["downloaded"], found["bytes"]) == (True, size)

    printed = run("info", "tiny")[1]
    assert f"{found['path']} (downloaded)" in printed
    assert "license     Free" in printed
    assert "language    Greek" in printed
    assert "citation     Nobody. 2018." in printed
    cached = {m["name"]: m["cached"] for m in json.loads(run("list", "--json")[1])}
    assert [name for name in MODELS if cached[name]] == ["mini", "tiny"]
    assert "original-5.5b" in cached

    found = json.loads(run("info", "mini", "--json")[1])
    assert found["path"] == str(MODELS["mini"].embedded_path / "weights.hdf5")
    assert (found["downloaded"], found["bytes"]) == (False, MODELS["mini"].size)
    assert found["parameters"]["total"] == 3_966_928
    assert "(downloaded)" not in run("info", "mini")[1]


def test_verify(module: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Once, and shown three times.
    monkeypatch.setattr(verification, "verify", functools.cache(verification.verify))
    code, printed, error = run("verify", module, "--json")
    assert (code, error) == (0, "")
    found = json.loads(printed)
    assert found["path"] == str(module)
    assert found["tolerance"] == 1e-4
    outputs = ("default", "elmo", "lstm_outputs1", "lstm_outputs2", "word_emb")
    pairs = itertools.product(("default", "tokens"), outputs)
    assert set(found["errors"]) == set(map("/".join, pairs))
    assert all(0 <= value < 1e-5 for value in found["errors"].values())

    heading, *rows = run("verify", module)[1].split("\n\n")[0].splitlines()
    assert heading.split() == ["output", "largest", "difference"]
    assert len(rows) == 10
    assert all(float(row.split()[1]) < 1e-5 for row in rows)
    assert run("verify", module, "-q") == (0, "", "")


@pytest.mark.parametrize(
    "command", ["verify", pytest.param("convert", marks=pytest.mark.slow)]
)
def test_a_module_that_computes_something_else(
    command: str, tmp_path: Path, folder: Path, run: Run
) -> None:
    """Without skip connections, which nothing in its files says."""
    config = dataclasses.replace(TINY, use_skip_connections=False)
    path = write_module(tmp_path / "module", config)
    code, printed, error = run(command, path, *["out"][: command == "convert"])
    assert (code, printed) == (1, "")
    assert error.startswith("keras-elmo: error: The layer does not compute what")
    assert "tokens/lstm_outputs2 by" in error
    assert list(folder.iterdir()) == []
