"""``keras-elmo info`` and ``list``."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_elmo import ElmoConfig
from keras_elmo.weights.named_models import MODELS, NamedModel
from tests.cli.runs import PARAMETERS, Run
from tests.tiny_models import TINY, saved_model
from tests.weights.file_server import serving


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
