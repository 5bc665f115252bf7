"""Files of features: their values, interruption and resuming, and what is refused."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, TokenFeatures, compute_features
from keras_elmo.corpus import embedder
from keras_elmo.corpus.embedder import Embedder
from keras_elmo.row_file import RowFile
from tests.tiny_models import TINY, saved_model

TEXTS = ["the cat sat", "", "a dog", "one two three four five", "x", "a b c d", "y"]
LENGTHS = [3, 0, 2, 5, 1, 4, 1]
QUIET = {"progress": False, "batch_size": 2}


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> ElmoEmbeddingLayer:
    source = saved_model(tmp_path_factory.mktemp("model"))
    return ElmoEmbeddingLayer(source, "pooled_layers")


@pytest.fixture(scope="module")
def tokens(pooled: ElmoEmbeddingLayer) -> ElmoEmbeddingLayer:
    layer = ElmoEmbeddingLayer(TINY, "layers")
    layer.set_weights(pooled.get_weights())
    return layer


@pytest.fixture(scope="module", autouse=True)
def programs_are_kept() -> Iterator[None]:
    """Traces each layer once: the tests call ``compute_features`` often, on little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "_program", functools.cache(embedder._program))
        yield


class Interrupted(Exception):  # noqa: N818
    """In the place of a user's patience."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, n_batches: int) -> None:
    computed = Embedder.batches

    def interrupted(*args: Any) -> Iterator[Any]:
        for n, batch in enumerate(computed(*args)):
            if n == n_batches:
                raise Interrupted("enough")
            yield batch

    monkeypatch.setattr(Embedder, "batches", interrupted)


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.parent.iterdir())}


def test_pooled(pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(pooled, TEXTS, path, **QUIET)
    assert isinstance(features, np.memmap)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, pooled(TEXTS), atol=1e-6)
    np.testing.assert_array_equal(features[1], np.zeros((3, 16)))
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), features)
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "features.npy",
        "features.npy.json",
    ]


def test_of_tokens(tokens: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(tokens, TEXTS, path, **QUIET)
    assert isinstance(features, TokenFeatures)
    assert isinstance(features.values, np.memmap)
    assert features.values.shape == (sum(LENGTHS), 3, 16)
    assert features.lengths.tolist() == LENGTHS
    assert len(features) == len(TEXTS)
    expected = np.asarray(tokens(TEXTS))
    for i, length in enumerate(LENGTHS):
        np.testing.assert_allclose(features[i], expected[i, :length], atol=1e-6)
    np.testing.assert_array_equal(features[-1], features[6])
    np.testing.assert_array_equal(features[1], np.zeros((0, 3, 16)))
    padded = features.padded(np.array([4, 0, 1]))
    np.testing.assert_allclose(padded, expected[[4, 0, 1], :3], atol=1e-6)
    assert features.padded(np.array([1])).shape == (1, 1, 3, 16)
    again = TokenFeatures.load(path)
    np.testing.assert_array_equal(again.values, features.values)
    np.testing.assert_array_equal(again.offsets, features.offsets)


def test_max_tokens(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "layers", max_tokens=2)
    features = compute_features(layer, TEXTS, tmp_path / "features.npy", **QUIET)
    assert features.lengths.tolist() == [2, 0, 2, 2, 1, 2, 1]
    expected = np.asarray(layer(TEXTS))
    np.testing.assert_allclose(features[3], expected[3], atol=1e-6)


def test_half_precision(pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    features = compute_features(pooled, TEXTS, path, dtype="float16", **QUIET)
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, pooled(TEXTS), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("mode", ["pooled_layers", "layers"])
def test_texts_without_tokens(mode: Any, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, mode)
    features = compute_features(layer, ["", " "], tmp_path / "features.npy", **QUIET)
    if mode == "layers":
        assert features.values.shape == (0, 3, 16)
        features = features.padded(np.array([0, 1]))[:, 0]
    np.testing.assert_array_equal(features, np.zeros((2, 3, 16)))


def test_shows_the_progress(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compute_features(pooled, TEXTS, tmp_path / "a.npy")
    shown = capsys.readouterr().err
    assert "Features: 100%" in shown
    assert "16.0/16.0" in shown
    compute_features(pooled, TEXTS, tmp_path / "b.npy", progress=False)
    assert capsys.readouterr().err == ""


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
from keras_elmo.corpus.embedder import Embedder
from keras_elmo.corpus import fill
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
    root = str(Path(__file__).resolve().parents[1])
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


def test_the_modules_own_graph(module: Path, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(module, "pooled_layers", engine="hub")
    path = tmp_path / "features.npy"
    features = compute_features(layer, TEXTS, path, **QUIET)
    np.testing.assert_allclose(features, layer(TEXTS), atol=1e-6)
    copy = Path(shutil.copytree(module, tmp_path / "module"))
    compute_features(
        ElmoEmbeddingLayer(copy, "pooled_layers", engine="hub"), TEXTS, path, **QUIET
    )
    record = tmp_path / "features.npy.json"
    assert record.exists()
    with (copy / "variables" / "variables.index").open("ab") as file:
        file.write(b"\0")
    layer.bilm.directory = copy
    with pytest.raises(ValueError, match="differ: weights"):
        compute_features(layer, TEXTS, path, **QUIET)


def test_refuses_other_files(pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    path.write_bytes(b"a diary")
    with pytest.raises(FileExistsError, match=r"features.npy' exists, and is no file"):
        compute_features(pooled, TEXTS, path, **QUIET)
    assert contents(path) == {"features.npy": b"a diary"}
    path.unlink()
    compute_features(pooled, TEXTS, path, **QUIET)
    np.save(path, np.zeros(3))
    with pytest.raises(FileExistsError, match=r"Name another file, or delete it"):
        compute_features(pooled, TEXTS, path, **QUIET)
    path.unlink()
    # What its record says is no longer there.
    features = compute_features(pooled, TEXTS, path, **QUIET)
    np.testing.assert_allclose(features, pooled(TEXTS), atol=1e-6)
    (tmp_path / "features.npy.json").write_text("{")
    with pytest.raises(ValueError, match=r"cannot read .*features.npy.json'.* Delete it"):
        compute_features(pooled, TEXTS, path, **QUIET)


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


def test_what_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "pooled_layers")
    layer.set_weights([weight * 1e6 for weight in layer.get_weights()])
    with pytest.raises(ValueError, match="number 4 do not fit float16: the largest is"):
        compute_features(layer, TEXTS, tmp_path / "a.npy", dtype="float16", **QUIET)
    assert not list(tmp_path.iterdir())


def test_no_room_on_the_disk(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(
        OSError, match=r"needs 1,344 bytes; .* has 100 left. Name a file on"
    ):
        compute_features(pooled, TEXTS, tmp_path / "a.npy", **QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"output_mode": "default"}, ValueError, "must have output_mode='pooled_layers'"),
        ({"output_mode": "elmo"}, ValueError, "or 'layers'; got 'elmo'"),
        ({"input_mode": "tokens"}, ValueError, "must have input_mode='sentences'; got"),
        ({"stateful": True}, ValueError, "it must have stateful=False; got True"),
        ({"texts": "one"}, TypeError, "got the single text 'one'"),
        ({"dtype": "int8"}, ValueError, "dtype must be one of 'float32', 'float16'; got"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer; got 0"),
        ({"token_budget": None}, ValueError, "token_budget must be a positive integer"),
        ({"progress": 1}, ValueError, "progress must be True or False; got 1"),
        ({"path": "none/a.npy"}, FileNotFoundError, "there is no directory 'none'. Make"),
        ({"layer": 3}, TypeError, "layer must be an ElmoEmbeddingLayer; got 3 of type int"),
    ],
)
def test_refuses(
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"texts": TEXTS, "path": "a.npy", **arguments}
    modes = ("output_mode", "input_mode", "stateful")
    settings = {name: options.pop(name) for name in modes if name in options}
    layer = ElmoEmbeddingLayer(TINY, **{"output_mode": "pooled_layers", **settings})
    with pytest.raises(error, match=message):
        compute_features(**{"layer": layer, **options})
    assert not list(tmp_path.iterdir())


def test_token_features_checks_its_parts(tmp_path: Path) -> None:
    values = np.zeros((5, 3, 4), np.float32)
    for offsets in ([0, 4], [1, 5], [], [[0, 5]]):
        with pytest.raises(ValueError, match="offsets must lead from 0 to the 5 rows"):
            TokenFeatures(values, np.array(offsets))
    with pytest.raises(ValueError, match="offsets must not descend"):
        TokenFeatures(values, np.array([0, 4, 2, 5]))
    features = TokenFeatures(values, np.array([0, 2, 5]))
    with pytest.raises(IndexError, match="index 2 is out of range: there are 2 texts"):
        features[2]
    with pytest.raises(TypeError, match="index must be an integer; got 'a'"):
        features["a"]
    assert [len(row) for row in features] == [2, 3]
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none.npy'"):
        TokenFeatures.load(tmp_path / "none.npy")


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
