"""The command with models of ELMoForManyLangs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from tests.cli.conftest import Run
from tests.manylangs_models import manylangs_files, manylangs_model, without_words


@pytest.mark.usefixtures("folder")
def test_the_command(run: Run) -> None:
    """``info`` counts, ``convert`` writes HDF5 of what it can hold, and Keras files."""
    manylangs_model(Path("model"))
    content = manylangs_files(without_words())
    changed = {Path(name).stem: part for name, part in content.items()}
    manylangs_model(Path("characters"), **changed)
    code, printed, _ = run("info", "model", "--json")
    found = json.loads(printed)
    assert (code, found["kind"]) == (0, "ELMoForManyLangs")
    assert found["configuration"]["n_words"] == 10
    assert found["parameters"]["word_embedding"] == 30
    assert "the first 6 characters of a token" in run("info", "model")[1]
    code, _, error = run("convert", "model", "out")
    assert code == 1
    assert "holds models of characters or of words; this one has both" in error
    assert not Path("out").exists()
    code, printed, _ = run("convert", "model", "out.keras", "--input-mode", "character_ids")
    assert "(batch, time, 9), from layer.config.batch_to_ids" in printed
    assert run("convert", "model", "out.keras", "--quiet", "--force") == (0, "", "")
    assert run("convert", "characters", "out", "--quiet") == (0, "", "")
    layers = [ElmoEmbeddingLayer(path) for path in ("characters", "out")]
    assert layers[0].config == layers[1].config
    texts = ["die Ufer 北京 <bos> ."]
    np.testing.assert_allclose(*(layer(texts) for layer in layers), atol=1e-6)
    assert run("verify", "model")[0] == 1
    Path("text.txt").write_text("die Ufer\n")
    code, _, error = run("evaluate", "model", "text.txt")
    assert code == 1
    assert "'model' has no softmax. It can embed words but not predict them." in error
    assert "ELMoForManyLangs published none" in error
