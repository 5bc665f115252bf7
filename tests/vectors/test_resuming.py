"""Jobs that are interrupted and resumed, and what they never mix."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.encoding import Program
from keras_elmo.vectors import compute, open_embeddings
from keras_elmo.vectors.compute import Job
from keras_elmo.vectors.options import Options
from tests.tiny_models import LEAST
from tests.vectors.small_jobs import (
    KINDS,
    LENGTHS,
    QUIET,
    SENTENCES,
    SUFFIXES,
    Interrupted,
    check_tokens,
    contents,
    folder,
    interrupt_after,
)


def interrupted(n_batches: int, *args: Any, **options: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, n_batches)
        with pytest.raises(Interrupted, match="enough"):
            compute_features(*args, **options, **QUIET)


@pytest.mark.parametrize("suffix", KINDS)
def test_interrupted_and_resumed(
    suffix: str,
    layer: ElmoEmbeddingLayer,
    pooled: ElmoEmbeddingLayer,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("keras_elmo.vectors.corpus.CHUNK_SENTENCES", 3)
    source = pooled if suffix == ".parquet" else layer
    whole, parts = folder(tmp_path, "whole"), folder(tmp_path, "parts")
    compute_features(source, corpus, whole / f"out{suffix}", **QUIET).close()
    path = parts / f"out{suffix}"
    for n_batches in (1, 0, 1):
        interrupted(n_batches, source, corpus, path)
        assert list(contents(parts)) == [f"out{suffix}.json", f"out{suffix}.part"]
        with pytest.raises(
            FileNotFoundError, match="It is not complete: run the job again"
        ):
            open_embeddings(path)
    capsys.readouterr()
    compute_features(source, corpus, path, batch_size=2).close()
    assert f"{sum(LENGTHS):.1f}/{sum(LENGTHS):.1f}" in capsys.readouterr().err
    assert contents(parts) == contents(whole)
    # Complete, it is opened; how it was computed does not matter any more.
    interrupt_after(monkeypatch, 0)
    again = compute_features(source, corpus, path, progress=False)
    if source is layer:
        check_tokens(again, layer(SENTENCES))
    else:
        np.testing.assert_allclose(again, pooled(SENTENCES), rtol=0, atol=1e-6)


class Died(BaseException):
    """In the place of SIGKILL: from here on nothing is written any more."""


def die_at_a_call(patch: pytest.MonkeyPatch, n_calls: int) -> None:
    """Lets system calls fail from some call on, as if the process were gone."""
    calls = iter(range(10**6))

    def dying(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(calls) >= n_calls:
                raise Died
            return function(*args, **kwargs)

        return call

    patch.undo()
    patch.setattr(compute, "SECONDS_BETWEEN_RECORDS", 0)
    for owner, name in (
        *((os, "fsync"), (os, "posix_fallocate")),
        *((Path, "replace"), (Path, "unlink"), (Program, "__call__")),
    ):
        patch.setattr(owner, name, dying(getattr(owner, name)))


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=20)
def test_stopped_anywhere(
    data: st.DataObject, layer: ElmoEmbeddingLayer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A process that dies at any write, with what it had buffered, loses nothing."""
    out = tmp_path_factory.mktemp("stopped")
    suffix = data.draw(st.sampled_from(KINDS))
    options = {"pooled": suffix == ".parquet", **QUIET}
    reference, path = out / f"whole{suffix}", out / f"out{suffix}"
    compute_features(layer, SENTENCES, reference, **options).close()
    with pytest.MonkeyPatch.context() as patch:
        for _ in range(data.draw(st.integers(1, 3))):
            die_at_a_call(patch, data.draw(st.integers(0, 40)))
            try:
                compute_features(layer, SENTENCES, path, **options).close()
            except Died:
                assert not path.exists() or path.read_bytes() == reference.read_bytes()
    compute_features(layer, SENTENCES, path, **options).close()
    assert path.read_bytes() == reference.read_bytes()
    left = (".part", ".part2", ".lock")
    assert not [p for p in out.iterdir() if p.name.endswith(left)]


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("is_complete", [True, False])
def test_never_a_mix(
    suffix: str, is_complete: bool, pooled: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    path = tmp_path / f"out{suffix}"
    if is_complete:
        compute_features(pooled, SENTENCES, path, **QUIET).close()
    else:
        interrupted(1, pooled, SENTENCES, path)
    before = contents(tmp_path)
    other = ElmoEmbeddingLayer(LEAST, "pooled_layers")
    cut = ElmoEmbeddingLayer(LEAST, "pooled_layers", max_tokens=9)
    cut.set_weights(pooled.get_weights())
    moved = ["the cat", "sat a dog", *SENTENCES[2:]]
    cases: list[tuple[Any, list[str], dict[str, Any], str]] = [
        (other, SENTENCES, {}, "differ: weights. Use the same ones"),
        (cut, SENTENCES, {}, r"differ: max_tokens \(None, now 9\). Use the same"),
        (pooled, SENTENCES[:-1], {}, "differ: texts. Use"),
        (other, moved, {}, r"differ: texts, weights. .*, or delete it\.$"),
        (pooled, SENTENCES, {"dtype": "float16"}, r"dtype \('float32', now 'float16'\)"),
        (pooled, SENTENCES, {"layers": "top"}, r"differ: layers \('all', now 'top'\)"),
        (pooled, SENTENCES, {"forget_sentences": True}, "differ: forget_sentences"),
    ]
    if suffix != ".parquet":
        cases.append((pooled, SENTENCES, {"pooled": False}, r"pooled \(True, now False\)"))
    for layer, texts, change, message in cases:
        with pytest.raises(ValueError, match=message):
            compute_features(layer, texts, path, **change, **QUIET)
    assert contents(tmp_path) == before


def test_what_does_not_matter(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names, what trains, the kind of collection, and how texts are put into batches."""
    path = tmp_path / "out.npy"
    features = compute_features(pooled, SENTENCES, path, **QUIET)
    interrupt_after(monkeypatch, 0)
    other = ElmoEmbeddingLayer(
        LEAST, "pooled_layers", fine_tune="lstm", name="other", trainable=False
    )
    other.set_weights(pooled.get_weights())
    again = compute_features(other, np.array(SENTENCES), path, progress=False)
    np.testing.assert_array_equal(again, features)


def test_weights_in_the_graph_of_a_module(module: Path, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(module, "pooled_layers", engine="hub")
    path = tmp_path / "out.npy"
    features = compute_features(layer, SENTENCES, path, **QUIET)
    np.testing.assert_allclose(features, layer(SENTENCES), rtol=0, atol=1e-6)
    copy = Path(shutil.copytree(module, tmp_path / "module"))
    layer.bilm.directory = copy
    compute_features(layer, SENTENCES, path, **QUIET)
    with (copy / "variables" / "variables.index").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ValueError, match="differ: weights"):
        compute_features(layer, SENTENCES, path, **QUIET)


def test_refuses_other_files(pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"out{suffix}"
        path.write_bytes(b"a diary")
        with pytest.raises(FileExistsError, match=r"exists and is not a .* Choose another"):
            compute_features(pooled, SENTENCES, path, **QUIET)
    assert contents(tmp_path) == {f"out{suffix}": b"a diary" for suffix in sorted(SUFFIXES)}


def test_a_record_that_is_of_another_file(
    pooled: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    path, record = tmp_path / "out.npy", tmp_path / "out.npy.json"
    compute_features(pooled, SENTENCES, path, **QUIET).close()
    np.save(path, np.zeros(3))
    with pytest.raises(FileExistsError, match=r"out.npy.json belongs to another file\)"):
        compute_features(pooled, SENTENCES, path, **QUIET)
    path.unlink()
    features = compute_features(pooled, SENTENCES, path, **QUIET)
    np.testing.assert_allclose(features, pooled(SENTENCES), rtol=0, atol=1e-6)
    record.write_text("{")
    with pytest.raises(FileExistsError, match=r"cannot read .*out.npy.json'"):
        compute_features(pooled, SENTENCES, path, **QUIET)


@pytest.mark.parametrize("suffix", KINDS)
def test_a_corpus_that_changes_meanwhile(
    suffix: str, pooled: ElmoEmbeddingLayer, corpus: Path, tmp_path: Path
) -> None:
    path = folder(tmp_path) / f"out{suffix}"
    job = Job(pooled, corpus, path, Options())
    corpus.write_text(corpus.read_text().replace("dog", "cat"))
    with pytest.raises(ValueError, match="texts: they changed while they were read"):
        job.run()
    assert not path.exists()


def test_what_was_beside_a_deleted_file(
    layer: ElmoEmbeddingLayer, pooled: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    """Sentences and offsets of another file do not become those of this one."""
    path = tmp_path / "out.npy"
    compute_features(layer, SENTENCES, path, **QUIET).close()
    path.unlink()
    found = compute_features(pooled, SENTENCES[:3], path, forget_sentences=True, **QUIET)
    assert (len(found), found.sentences, found[0].shape) == (3, None, (2, 16))
    assert list(contents(tmp_path)) == ["out.npy", "out.npy.json"]
    (tmp_path / "out.npy.sentences.jsonl").write_text('"one"\n')
    with pytest.raises(ValueError, match=r"sentences.jsonl' belongs to another file"):
        open_embeddings(path)["one"]


def test_what_is_next_to_a_complete_file(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    """What a killed process left there is removed; what others put there is not."""
    path, names = tmp_path / "out.hdf5", ("out.hdf5.json", "out.hdf5.part")
    interrupted(2, layer, SENTENCES, path)
    left = {name: (tmp_path / name).read_bytes() for name in names}
    for _ in range(2):
        compute_features(layer, SENTENCES, path, **QUIET).close()
        assert list(contents(tmp_path)) == ["out.hdf5"]
        for name, content in left.items():
            (tmp_path / name).write_bytes(content)
    for name in names:
        (tmp_path / name).write_text("notes")
    compute_features(layer, SENTENCES, path, **QUIET).close()
    assert [(tmp_path / name).read_text() for name in names] == ["notes", "notes"]


@pytest.mark.parametrize("n_bytes_left", [100, -1])
def test_damaged_rows_are_computed_again(
    n_bytes_left: int, layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    path, part = tmp_path / "out.hdf5", tmp_path / "out.hdf5.part"
    interrupted(2, layer, SENTENCES, path)
    part.write_bytes(part.read_bytes()[:n_bytes_left])
    check_tokens(compute_features(layer, SENTENCES, path, **QUIET), layer(SENTENCES))


def test_one_process_at_a_time(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    with (
        FileLock(tmp_path / "out.hdf5.lock"),
        pytest.raises(BlockingIOError, match=r"another process is working on .*out.hdf5'"),
    ):
        compute_features(layer, SENTENCES, path, **QUIET)
    compute_features(layer, SENTENCES, path, **QUIET).close()
    assert list(contents(tmp_path)) == ["out.hdf5"]
