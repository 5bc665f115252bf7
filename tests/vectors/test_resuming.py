"""Jobs that are interrupted and continued, and what they never mix."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.errors import DiskFullError
from keras_elmo.vectors import embed_corpus, fill, open_embeddings, scan
from keras_elmo.vectors.embed import run_job
from keras_elmo.vectors.embedder import Embedder
from keras_elmo.vectors.job import Job, Options
from tests.tiny_models import TINY
from tests.vectors.small_jobs import (
    LENGTHS,
    QUIET,
    SENTENCES,
    SUFFIXES,
    Interrupted,
    contents,
    folder,
    interrupt_after,
)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_interrupted_and_continued(
    suffix: str,
    pooled: ElmoEmbeddingLayer,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scan, "CHUNK_SENTENCES", 3)
    whole, parts = folder(tmp_path, "whole"), folder(tmp_path, "parts")
    embed_corpus(pooled, corpus, whole / f"out{suffix}", pooled=True, **QUIET).close()
    path = parts / f"out{suffix}"
    for n_batches in (1, 0, 1):
        with monkeypatch.context() as patch:
            interrupt_after(patch, n_batches)
            with pytest.raises(Interrupted, match="enough"):
                embed_corpus(pooled, corpus, path, pooled=True, **QUIET)
        assert list(contents(parts)) == [f"out{suffix}.json", f"out{suffix}.part"]
        with pytest.raises(FileNotFoundError, match="It is not complete: go on with"):
            open_embeddings(path)
    capsys.readouterr()
    embed_corpus(pooled, corpus, path, pooled=True, batch_size=2).close()
    assert f"{sum(LENGTHS):.1f}/{sum(LENGTHS):.1f}" in capsys.readouterr().err
    assert contents(parts) == contents(whole)
    # Complete, it is opened; how it was computed does not matter any more.
    interrupt_after(monkeypatch, 0)
    again = embed_corpus(pooled, corpus, path, pooled=True, progress=False)
    np.testing.assert_allclose(again, pooled(SENTENCES), atol=1e-6)


@given(data=st.data())
@settings(max_examples=20)
def test_stopped_anywhere(
    data: st.DataObject, layer: ElmoEmbeddingLayer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A process that dies at any write, with what it had buffered, loses nothing."""
    out = tmp_path_factory.mktemp("stopped")
    suffix = data.draw(st.sampled_from([".hdf5", ".npy"]))
    reference, path = out / f"whole{suffix}", out / f"out{suffix}"
    embed_corpus(layer, SENTENCES, reference, **QUIET).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "CHUNK_SENTENCES", scan.CHUNK_SENTENCES)
        patch.setattr(fill, "SECONDS_BETWEEN_RECORDS", 0)
        for _ in range(data.draw(st.integers(1, 3))):
            die_at_a_call(patch, data.draw(st.integers(0, 40)))
            try:
                embed_corpus(layer, SENTENCES, path, **QUIET).close()
            except Died:
                assert not path.exists() or path.read_bytes() == reference.read_bytes()
    embed_corpus(layer, SENTENCES, path, **QUIET).close()
    assert path.read_bytes() == reference.read_bytes()
    assert not [p for p in out.iterdir() if p.name.endswith((".part", ".lock"))]


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
    patch.setattr(fill, "SECONDS_BETWEEN_RECORDS", 0)
    for owner, name in (
        (os, "fsync"),
        (os, "posix_fallocate"),
        (Path, "replace"),
        (Path, "unlink"),
        (Embedder, "arrays"),
    ):
        patch.setattr(owner, name, dying(getattr(owner, name)))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("is_complete", [True, False])
def test_never_a_mix(
    suffix: str,
    is_complete: bool,
    pooled: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / f"out{suffix}"
    options: dict[str, Any] = {"pooled": True, **QUIET}
    if is_complete:
        embed_corpus(pooled, SENTENCES, path, **options).close()
    else:
        with monkeypatch.context() as patch:
            interrupt_after(patch, 1)
            with pytest.raises(Interrupted, match="enough"):
                embed_corpus(pooled, SENTENCES, path, **options)
    before = contents(tmp_path)
    other = ElmoEmbeddingLayer(TINY, "pooled_layers")
    for layer, texts, change, message in (
        (other, SENTENCES, {}, "differ: weights. Go on with what it was begun with"),
        (pooled, SENTENCES[:-1], {}, "differ: texts. Go on"),
        (
            pooled,
            SENTENCES,
            {"dtype": "float16"},
            r"differ: dtype \('float32', now 'float16",
        ),
        (pooled, SENTENCES, {"layers": "top"}, r"differ: layers \('all', now 'top'\)"),
        (pooled, SENTENCES, {"forget_sentences": True}, "differ: forget_sentences"),
    ):
        with pytest.raises(ValueError, match=message):
            embed_corpus(layer, texts, path, **{**options, **change})
    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_refuses_other_files(
    suffix: str, pooled: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"a diary")
    with pytest.raises(
        FileExistsError, match=r"exists, and is no .* Name another file, or"
    ):
        embed_corpus(pooled, SENTENCES, path, pooled=True, **QUIET)
    assert contents(tmp_path) == {path.name: b"a diary"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_corpus_that_changes_meanwhile(
    suffix: str, pooled: ElmoEmbeddingLayer, corpus: Path, tmp_path: Path
) -> None:
    path = folder(tmp_path) / f"out{suffix}"
    job = Job(pooled, corpus, path, Options(pooled=True))
    corpus.write_text(corpus.read_text().replace("dog", "cat"))
    with pytest.raises(ValueError, match="corpus: it has changed while it was read"):
        run_job(job, progress=False)
    assert not path.exists()


def test_what_was_beside_a_deleted_file(
    layer: ElmoEmbeddingLayer, pooled: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    """Sentences and offsets of another file do not become those of this one."""
    path = tmp_path / "out.npy"
    embed_corpus(layer, SENTENCES, path, **QUIET).close()
    path.unlink()
    found = embed_corpus(
        pooled, SENTENCES[:3], path, pooled=True, forget_sentences=True, **QUIET
    )
    assert len(found) == 3
    assert found.sentences is None
    assert found[0].shape == (3, 16)
    assert list(contents(tmp_path)) == ["out.npy", "out.npy.json"]
    (tmp_path / "out.npy.sentences.jsonl").write_text('"one"\n')
    with pytest.raises(ValueError, match=r"sentences.jsonl' is of another file"):
        open_embeddings(path)["one"]


def test_a_damaged_part_is_begun_anew(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in (".hdf5", ".npy"):
        path, part = tmp_path / f"out{suffix}", tmp_path / f"out{suffix}.part"
        with monkeypatch.context() as patch:
            interrupt_after(patch, 2)
            with pytest.raises(Interrupted, match="enough"):
                embed_corpus(layer, SENTENCES, path, **QUIET)
        part.write_bytes(part.read_bytes()[:100])
        found = embed_corpus(layer, SENTENCES, path, **QUIET)
        expected = np.asarray(layer(SENTENCES[2:3]))[0].swapaxes(0, 1)
        np.testing.assert_allclose(found[2], expected, atol=1e-6)


def test_full_in_the_last_step(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "out.npy"
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(DiskFullError, match=r"is full. Make room"):
            embed_corpus(layer, SENTENCES, path, **QUIET)
    assert len(embed_corpus(layer, SENTENCES, path, **QUIET)) == len(SENTENCES)
    assert not [name for name in contents(tmp_path) if name.endswith(".part")]


def test_one_process_at_a_time(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    with (
        FileLock(tmp_path / "out.hdf5.lock"),
        pytest.raises(BlockingIOError, match=r"another process is working on .*out.hdf5'"),
    ):
        embed_corpus(layer, SENTENCES, path, **QUIET)
    embed_corpus(layer, SENTENCES, path, **QUIET)
    assert list(contents(tmp_path)) == ["out.hdf5"]
