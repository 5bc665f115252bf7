"""Files of features: interrupted and resumed, never mixed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.vectors.row_file import RowFile
from tests.tiny_models import TINY, saved_model
from tests.vectors.features.small_jobs import (
    QUIET,
    TEXTS,
    Interrupted,
    contents,
    interrupt_after,
)


@pytest.mark.parametrize("mode", ["pooled_layers", "layers"])
def test_interrupted_and_resumed(
    mode: str,
    pooled: ElmoEmbeddingLayer,
    tokens: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    layer = pooled if mode == "pooled_layers" else tokens
    paths = [tmp_path / name / "features.npy" for name in ("whole", "parts")]
    for path in paths:
        path.parent.mkdir()
    compute_features(layer, TEXTS, paths[0], **QUIET)
    for n_batches in (1, 0, 2):
        with monkeypatch.context() as patch:
            interrupt_after(patch, n_batches)
            with pytest.raises(Interrupted, match="enough"):
                compute_features(layer, TEXTS, paths[1], **QUIET)
        assert sorted(contents(paths[1])) == ["features.npy.json", "features.npy.part"]
    capsys.readouterr()
    compute_features(layer, TEXTS, paths[1], batch_size=2)
    # The six longest texts were done.
    assert "16.0/16.0" in capsys.readouterr().err
    assert contents(paths[1]) == contents(paths[0])


KILLED = """
import sys, time
from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.vectors.embedder import Embedder
from keras_elmo.vectors import fill
fill.SECONDS_BETWEEN_RECORDS = 0
if len(sys.argv) > 4:
    computed = Embedder.batches
    def slowly(*args):
        for n, batch in enumerate(computed(*args)):
            if n == 3:
                open(sys.argv[4], "w").close()
                time.sleep(600)
            yield batch
    Embedder.batches = slowly
layer = ElmoEmbeddingLayer(sys.argv[1], sys.argv[2])
texts = ["a b c"[: 1 + i % 5] for i in range(40)]
compute_features(layer, texts, sys.argv[3], batch_size=3, progress=False)
"""


def test_killed_and_continued(tmp_path: Path) -> None:
    source = saved_model(tmp_path / "model")
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()

    def command(name: str, *more: str) -> list[str]:
        path = str(tmp_path / name / "features.npy")
        return [sys.executable, "-c", KILLED, str(source), "layers", path, *more]

    reached = tmp_path / "reached"
    process = subprocess.Popen(command("killed", str(reached)), env=environment)
    deadline = time.monotonic() + 300
    while not reached.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    killed = contents(tmp_path / "killed" / "features.npy")
    names = ["features.npy.json", "features.npy.lock", "features.npy.part"]
    assert sorted(killed) == names
    assert b'"n_done": 9' in killed["features.npy.json"]
    for name in ("killed", "whole"):
        subprocess.run(command(name), env=environment, check=True)
    whole, continued = (
        contents(tmp_path / name / "features.npy") for name in ("whole", "killed")
    )
    assert continued == whole
    assert killed["features.npy.part"] != whole["features.npy"]


def test_a_complete_file_is_opened(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(pooled, TEXTS, path, **QUIET)
    interrupt_after(monkeypatch, 0)
    # How it was divided into batches does not matter any more.
    again = compute_features(pooled, np.array(TEXTS), path, progress=False)
    np.testing.assert_array_equal(again, features)


def test_the_name_and_what_trains_do_not_matter(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(pooled, TEXTS, path, **QUIET)
    interrupt_after(monkeypatch, 0)
    other = ElmoEmbeddingLayer(
        TINY, "pooled_layers", fine_tune="lstm", name="other", trainable=False
    )
    other.set_weights(pooled.get_weights())
    again = compute_features(other, TEXTS, path, **QUIET)
    np.testing.assert_array_equal(again, features)


@pytest.mark.parametrize("is_complete", [True, False])
def test_never_a_mix(
    pooled: ElmoEmbeddingLayer,
    tokens: ElmoEmbeddingLayer,
    is_complete: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "features.npy"
    with monkeypatch.context() as patch:
        if not is_complete:
            interrupt_after(patch, 1)
            with pytest.raises(Interrupted, match="enough"):
                compute_features(pooled, TEXTS, path, **QUIET)
        else:
            compute_features(pooled, TEXTS, path, **QUIET)
    before = contents(path)
    other = ElmoEmbeddingLayer(TINY, "pooled_layers")
    cut = ElmoEmbeddingLayer(TINY, "pooled_layers", max_tokens=9)
    cut.set_weights(pooled.get_weights())
    moved = ["the cat", "sat", *TEXTS[2:]]
    for layer, texts, dtype, message in (
        (other, TEXTS, "float32", "differ: weights. Go on"),
        (cut, TEXTS, "float32", r"differ: max_tokens \(None, now 9\). Go on with what it"),
        (pooled, moved, "float32", "differ: texts. Go on"),
        (other, moved, "float32", r"differ: texts, weights. .*, or delete it\.$"),
    ):
        with pytest.raises(ValueError, match=message):
            compute_features(layer, texts, path, dtype=dtype, **QUIET)
    half = r"differ: dtype \('float32', now 'float16'\)"
    with pytest.raises(ValueError, match=half):
        compute_features(pooled, TEXTS, path, dtype="float16", **QUIET)
    with pytest.raises(ValueError, match="differ: output_mode"):
        compute_features(tokens, TEXTS, path, **QUIET)
    with pytest.raises(ValueError, match="differ: texts"):
        compute_features(pooled, TEXTS[1:], path, **QUIET)
    assert contents(path) == before


def test_a_damaged_part_is_begun_anew(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, part = tmp_path / "features.npy", tmp_path / "features.npy.part"
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupted, match="enough"):
            compute_features(pooled, TEXTS, path, **QUIET)
    part.write_bytes(part.read_bytes()[:-1])
    features = compute_features(pooled, TEXTS, path, **QUIET)
    np.testing.assert_allclose(features, pooled(TEXTS), atol=1e-6)


def test_progress_is_recorded_after_the_rows(tmp_path: Path) -> None:
    """What the record counts is in the file."""
    offsets = np.arange(3)
    file = RowFile(tmp_path / "a.npy", {"x": 1}, offsets, False, (2,), "float32")
    assert file.begin() == 0
    with file.opened():
        file.write_rows(1, np.array([3.0, 4.0]))
        file.save_progress(1)
        np.testing.assert_array_equal(np.load(file.part), [[0, 0], [3, 4]])
    assert file.begin() == 1
