"""Files of embeddings: their values, what stops them, and what they are continued from."""

from __future__ import annotations

import errno
import functools
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import (
    BadLinesError,
    ElmoEmbeddingLayer,
    Embeddings,
    embed_corpus,
    open_embeddings,
)
from keras_elmo.corpus import embedder, fill, scan
from keras_elmo.corpus.embed import run_job
from keras_elmo.corpus.embedder import Embedder
from keras_elmo.corpus.job import Job, Options
from keras_elmo.partial_file import DiskFullError
from tests.tiny_models import TINY, saved_model

SENTENCES = [
    "the cat sat",
    "a dog",
    "one two three four five",
    "x",
    "a b c d",
    "y",
    "a dog",
]
LENGTHS = [len(sentence.split()) for sentence in SENTENCES]
QUIET: dict[str, Any] = {"progress": False, "batch_size": 2}
SUFFIXES = (".hdf5", ".h5", ".npy", ".parquet")


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> ElmoEmbeddingLayer:
    source = saved_model(tmp_path_factory.mktemp("model"))
    return ElmoEmbeddingLayer(source, "layers")


@pytest.fixture(scope="module")
def pooled(layer: ElmoEmbeddingLayer) -> ElmoEmbeddingLayer:
    result = ElmoEmbeddingLayer(TINY, "pooled_layers")
    result.set_weights(layer.get_weights())
    return result


@pytest.fixture(scope="module", autouse=True)
def programs_are_kept() -> Iterator[None]:
    """Traces each layer once: the tests call ``embed_corpus`` often, on little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedder, "_program", functools.cache(embedder._program))
        yield


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(SENTENCES) + "\n")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def folder(tmp_path: Path, name: str = "out") -> Path:
    path = tmp_path / name
    path.mkdir()
    return path


class Interrupted(Exception):  # noqa: N818
    """In the place of whatever ends a process."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, n_batches: int) -> None:
    batches = Embedder.batches

    def interrupted(*args: Any) -> Iterator[Any]:
        for n, batch in enumerate(batches(*args)):
            if n == n_batches:
                raise Interrupted("enough")
            yield batch

    monkeypatch.setattr(Embedder, "batches", interrupted)


# ------------------------------------------------------------------------------ the values


@pytest.mark.parametrize("batch_size", [1, 3, 128])
def test_the_arrays_of_allennlp(
    shared: Path, tmp_path: Path, report_error: Any, batch_size: int
) -> None:
    oracle = shared / "oracles" / "allennlp_tiny"
    inputs = json.loads((oracle / "allennlp_inputs.json").read_text("utf-8"))
    with np.load(oracle / "allennlp_outputs.npz") as file:
        outputs = dict(file)
    order = [
        (batch, row, tokens)
        for batch in ("long", "edge", "plain")
        for row, tokens in enumerate(inputs[batch])
    ]
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(" ".join(tokens) + "\n" for *_, tokens in order), "utf-8")
    source, path = str(oracle / "lm_weights.hdf5"), tmp_path / "out.hdf5"
    embed_corpus(source, corpus, path, progress=False, batch_size=batch_size)
    # Read as scripts of AllenNLP's users do.
    with h5py.File(path, "r") as file:
        index = json.loads(file["sentence_to_index"][0])
        assert len(file) == len(order) + 1
        for batch, row, tokens in order:
            found = file[index[" ".join(tokens)]][...]
            n = len(tokens)
            expected = np.stack([outputs[f"{batch}/layer{k}"][row, :n] for k in range(3)])
            assert found.shape == expected.shape
            assert found.dtype == np.float32
            error = np.abs(found - expected).max()
            report_error("allennlp, embed_corpus", error)
            assert error < 1e-5


@given(
    order=st.permutations(range(len(SENTENCES))),
    batch_size=st.integers(1, 8),
    token_budget=st.integers(1, 30),
)
@settings(max_examples=15)
def test_batches_and_order_do_not_matter(
    order: list[int],
    batch_size: int,
    token_budget: int,
    layer: ElmoEmbeddingLayer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    expected = np.asarray(layer(SENTENCES))
    found = embed_corpus(
        layer,
        [SENTENCES[i] for i in order],
        tmp_path_factory.mktemp("any") / "out.npy",
        batch_size=batch_size,
        token_budget=token_budget,
        progress=False,
    )
    for place, i in enumerate(order):
        rows = expected[i, : LENGTHS[i]].swapaxes(0, 1)  # (3, n_tokens, D)
        np.testing.assert_allclose(found[place], rows, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("suffix", "is_pooled"),
    [*itertools.product(SUFFIXES[:3], [False, True]), (".parquet", True)],
)
@pytest.mark.parametrize("layers", ["all", "top", "average"])
def test_what_is_kept(
    suffix: str,
    is_pooled: bool,
    layers: Any,
    layer: ElmoEmbeddingLayer,
    corpus: Path,
    tmp_path: Path,
) -> None:
    out = folder(tmp_path)
    path = out / f"out{suffix}"
    options: dict[str, Any] = {"layers": layers, "pooled": is_pooled, **QUIET}
    values = np.asarray(layer(SENTENCES))  # (n, time, 3, D)
    reduced = {"all": values, "top": values[:, :, 2], "average": values.mean(axis=2)}
    with embed_corpus(layer, corpus, path, **options) as embeddings:
        assert isinstance(embeddings, Embeddings)
        assert len(embeddings) == len(list(embeddings)) == len(SENTENCES)
        for i, n in enumerate(LENGTHS):
            expected = reduced[layers][i, :n]
            if is_pooled:
                expected = expected.mean(axis=0)
            elif layers == "all":
                expected = expected.swapaxes(0, 1)
            assert embeddings[i].shape == expected.shape
            assert embeddings[i].dtype == np.float32
            np.testing.assert_allclose(embeddings[i], expected, atol=1e-6)
        np.testing.assert_array_equal(embeddings["a b c d"], embeddings[4])
        np.testing.assert_array_equal(embeddings[-3], embeddings[np.int64(4)])
        np.testing.assert_array_equal(embeddings["a dog"], embeddings[6])
        assert "a b c d" in embeddings
        assert "a b" not in embeddings
        assert embeddings.sentences is not None
        # HDF5, as AllenNLP has it, tells the last of equal ones only.
        is_hdf5 = suffix in (".hdf5", ".h5")
        assert embeddings.sentences[1] == ("" if is_hdf5 else "a dog")
        assert embeddings.sentences[2:] == SENTENCES[2:]
    beside = []
    if suffix == ".npy":
        beside = ["out.npy.json", "out.npy.offsets.npy", "out.npy.sentences.jsonl"]
        del beside[1 : 1 + is_pooled]
    assert list(contents(out)) == [path.name, *beside]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_half_precision_and_no_sentences(
    suffix: str, pooled: ElmoEmbeddingLayer, corpus: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"out{suffix}"
    options: dict[str, Any] = {"dtype": "float16", "forget_sentences": True, **QUIET}
    embeddings = embed_corpus(pooled, corpus, path, pooled=True, **options)
    assert embeddings[0].dtype == np.float16
    np.testing.assert_allclose(embeddings, pooled(SENTENCES), rtol=1e-3, atol=1e-6)
    assert embeddings.sentences is None
    assert "a dog" not in embeddings
    with pytest.raises(KeyError, match="does not hold its sentences; ask for an index"):
        embeddings["a dog"]


def test_named_by_sentences(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    texts = ["the cat sat", "a dog", "0", "sentence_to_index"]
    found = embed_corpus(layer, texts, path, sentence_keys=True, **QUIET)
    assert found.sentences == texts  # not in the order of the alphabet
    assert len(found) == len(texts)
    expected = np.asarray(layer(texts))[0].swapaxes(0, 1)
    np.testing.assert_allclose(found["the cat sat"], expected, atol=1e-6)
    np.testing.assert_array_equal(found[0], found["the cat sat"])
    with h5py.File(path, "r") as file:
        assert sorted(file) == sorted(texts)
    with pytest.raises(BadLinesError, match="line 2: the same as a sentence before"):
        embed_corpus(layer, ["a", "a"], tmp_path / "b.h5", sentence_keys=True, **QUIET)


def test_bad_lines(
    layer: ElmoEmbeddingLayer,
    pooled: ElmoEmbeddingLayer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(b"a dog\n\n" + b"w " * 100_000 + b"\nbad \xff\nthe cat sat\n")
    told = [
        "line 2: empty",
        "line 3: 100,000 tokens, more than 6",
        "line 4: not UTF-8 (byte 5)",
    ]
    with pytest.raises(BadLinesError, match=told[0]) as info:
        embed_corpus(layer, corpus, tmp_path / "out.hdf5", max_tokens=6, **QUIET)
    assert all(line in str(info.value) for line in told)
    assert list(contents(tmp_path)) == ["corpus.txt"]
    texts = ["a dog", "", "w w w w w w", "bad \ufffd", "the cat sat"]
    values, means = np.asarray(layer(texts)), np.asarray(pooled(texts))
    for on_error, rows in (("repair", [0, 1, 2, 3, 4]), ("skip", [0, 4])):
        caplog.clear()
        options: dict[str, Any] = {"on_error": on_error, "max_tokens": 6, **QUIET}
        for suffix in (".hdf5", ".npy"):
            path = tmp_path / f"{on_error}{suffix}"
            found = embed_corpus(layer, corpus, path, **options)
            assert len(found) == len(rows)
            for array, i in zip(found, rows, strict=True):
                n = len(texts[i].split())
                assert array.shape == (3, n, 16)
                np.testing.assert_allclose(array.swapaxes(0, 1), values[i, :n], atol=1e-6)
        done = "repaired" if on_error == "repair" else "left out"
        assert caplog.messages == [f"{line}; {done}" for line in told] * 2
        path = tmp_path / f"{on_error}.parquet"
        found = embed_corpus(pooled, corpus, path, pooled=True, **options)
        np.testing.assert_allclose(found, means[rows], atol=1e-6)


# ------------------------------------------------------------------------------ the source


def test_sources(
    source: str, module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_path = embed_corpus(source, SENTENCES, tmp_path / "a.npy", pooled=True, **QUIET)
    expected = ElmoEmbeddingLayer(source, "pooled_layers")(SENTENCES)
    np.testing.assert_allclose(by_path, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"no mix, or one that was not trained\. Name a"):
        embed_corpus(source, SENTENCES, tmp_path / "b.npy", layers="mix", **QUIET)
    # A TF1 Hub module has one.
    of_module = ElmoEmbeddingLayer(module)
    found = embed_corpus(
        module, SENTENCES, tmp_path / "c.npy", layers="mix", pooled=True, **QUIET
    )
    np.testing.assert_allclose(found, of_module(SENTENCES), atol=1e-6)
    assert np.abs(np.asarray(found[0]) - np.asarray(by_path[0]).mean(axis=0)).max() > 0.01


@pytest.mark.parametrize("input_mode", ["sentences", "tokens", "character_ids"])
def test_a_saved_model(source: str, input_mode: Any, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(source, "default", input_mode, fine_tune="all")
    layer.scalar_mix.layer_weights.assign([0.3, -1.0, 2.0])
    layer.scalar_mix.gamma.assign(1.5)
    shape = {"sentences": (), "tokens": (None,), "character_ids": (None, 50)}[input_mode]
    dtype = "int32" if input_mode == "character_ids" else "string"
    inputs = keras.Input(shape, dtype=dtype)
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.save(tmp_path / "model.keras")
    same = ElmoEmbeddingLayer(source, "elmo")
    same.scalar_mix.set_weights(layer.scalar_mix.get_weights())
    expected = np.asarray(same(SENTENCES))
    for given_source in (str(tmp_path / "model.keras"), tmp_path / "model.keras", layer):
        path = tmp_path / "out.npy"
        found = embed_corpus(given_source, SENTENCES, path, layers="mix", **QUIET)
        # The second and third time it is opened: the fingerprint is the same.
        for array, rows, n in zip(found, expected, LENGTHS, strict=True):
            np.testing.assert_allclose(array, rows[:n], atol=1e-6)
    found = embed_corpus(layer, SENTENCES, tmp_path / "b.npy", layers="mix", pooled=True)
    means = [rows[:n].mean(axis=0) for rows, n in zip(expected, LENGTHS, strict=True)]
    np.testing.assert_allclose(found, means, atol=1e-6)


def test_a_layer_that_cannot(
    layer: ElmoEmbeddingLayer, tmp_path: Path, module: Path
) -> None:
    word_emb = ElmoEmbeddingLayer(TINY, "word_emb")
    hub = ElmoEmbeddingLayer(module, "layers", engine="hub")
    path = tmp_path / "out.hdf5"
    for wrong, layers, message in (
        (word_emb, "all", "output_mode='word_emb' needs only some of the model's layers"),
        (layer, "mix", r"'mix' needs a layer with a mix \(output_mode 'default' or 'elmo'"),
        (
            hub,
            "mix",
            "with engine='hub' must have the output mode that is asked for, 'elmo'",
        ),
        (tmp_path / "none.keras", "all", r"source: there is no file .*none.keras'"),
    ):
        with pytest.raises(ValueError, match=message):
            embed_corpus(wrong, SENTENCES, path, layers=layers, **QUIET)
    found = embed_corpus(hub, SENTENCES, path, **QUIET)
    expected = np.asarray(hub(SENTENCES))[0, :3].swapaxes(0, 1)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    (tmp_path / "a.keras").write_bytes(b"PK no")
    with pytest.raises(ValueError, match=r"source: cannot load the model .*a.keras'"):
        embed_corpus(tmp_path / "a.keras", SENTENCES, tmp_path / "b.h5", **QUIET)
    for n, layers_of_model in ((0, []), (2, [word_emb, hub])):
        text = keras.Input((), dtype="string")
        outputs: list[Any] = [each(text) for each in layers_of_model]
        outputs = outputs or [keras.layers.Identity()(text)]
        keras.Model(text, outputs).save(tmp_path / "model.keras")
        with pytest.raises(
            ValueError, match=f"has {n} ElmoEmbeddingLayers; it must have one"
        ):
            embed_corpus(tmp_path / "model.keras", SENTENCES, tmp_path / "b.h5", **QUIET)


def test_other_backends(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="Embedding a corpus needs the TensorFlow"):
        embed_corpus(layer, SENTENCES, tmp_path / "a.npy", **QUIET)


def test_a_layer_with_max_tokens(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "layers", max_tokens=2)
    found = embed_corpus(layer, SENTENCES, tmp_path / "a.npy", on_error="repair", **QUIET)
    assert [array.shape[1] for array in found] == [2, 2, 2, 1, 2, 1, 2]
    np.testing.assert_allclose(found[2].swapaxes(0, 1), layer(SENTENCES)[2], atol=1e-6)


# --------------------------------------------------------------- interrupted and continued


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


# ------------------------------------------------------------------------ disk and memory


def test_no_room_on_the_disk(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    for suffix in (".hdf5", ".npy"):
        with pytest.raises(
            DiskFullError, match=r"needs [0-9,]+ bytes; its disk has 100 left"
        ):
            embed_corpus(layer, SENTENCES, tmp_path / f"out{suffix}", **QUIET)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("call", "n_good"),
    [("posix_fallocate", 0), ("fsync", 0), ("fsync", 2), ("fsync", 3), ("fsync", 6)],
)
def test_a_full_disk(
    call: str,
    n_good: int,
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it shows, the error says so, and the same call goes on later."""
    whole, full = folder(tmp_path, "whole"), folder(tmp_path, "full")
    embed_corpus(layer, SENTENCES, whole / "out.hdf5", **QUIET).close()
    function, calls = getattr(os, call), iter(range(1000))

    def no_room(*args: Any) -> Any:
        if next(calls) >= n_good:
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*args)

    with monkeypatch.context() as patch:
        patch.setattr(fill, "SECONDS_BETWEEN_RECORDS", 0)
        patch.setattr(os, call, no_room)
        with pytest.raises(
            DiskFullError, match=r"the disk of .* is full. Make room, and do"
        ):
            embed_corpus(layer, SENTENCES, full / "out.hdf5", **QUIET)
    left = [] if n_good < 2 else ["out.hdf5.json", "out.hdf5.part"]
    assert list(contents(full)) == left
    embed_corpus(layer, SENTENCES, full / "out.hdf5", **QUIET).close()
    assert contents(full) == contents(whole)


@pytest.mark.parametrize("limit", [1, 4, 7])
@pytest.mark.parametrize("error", [MemoryError, tf.errors.ResourceExhaustedError])
def test_memory_runs_out(
    limit: int,
    error: type[Exception],
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of too many steps are divided, and no larger ones are tried again."""
    arrays, tried = Embedder.arrays, []

    def limited(self: Embedder, sentences: Any) -> Any:
        steps = len(sentences) * max(s.n_tokens for s in sentences)
        tried.append(steps)
        if len(sentences) > 1 and steps > limit:
            raise error(*([] if error is MemoryError else [None, None, "no memory"]))
        return arrays(self, sentences)

    monkeypatch.setattr(Embedder, "arrays", limited)
    monkeypatch.setattr(scan, "CHUNK_SENTENCES", 4)
    found = embed_corpus(layer, SENTENCES, tmp_path / "out.npy", progress=False)
    expected = np.asarray(layer(SENTENCES))
    for array, rows, n in zip(found, expected, LENGTHS, strict=True):
        np.testing.assert_allclose(array.swapaxes(0, 1), rows[:n], atol=1e-6)
    assert tried[0] == 4 * 5
    too_large = [steps for steps in tried if steps > max(limit, 5)]
    assert len(too_large) <= 3  # of the first chunk; it was a lesson
    if limit == 7:
        # Short sentences still go together.
        assert len(tried) - len(too_large) < len(SENTENCES)


def test_no_memory_for_one_sentence(
    layer: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = Embedder.arrays

    def limited(self: Embedder, sentences: Any) -> Any:
        if any(s.n_tokens == 4 for s in sentences):
            raise MemoryError
        return arrays(self, sentences)

    path = tmp_path / "out.npy"
    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "arrays", limited)
        with pytest.raises(
            MemoryError, match=r"for one sentence of 4 tokens\. Choose a sm"
        ):
            embed_corpus(layer, SENTENCES, path, progress=False)
    assert json.loads((tmp_path / "out.npy.json").read_text())["n_done"] == 1
    embed_corpus(layer, SENTENCES, path, progress=False)


def test_what_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, "layers")
    layer.set_weights([weight * 1e6 for weight in layer.get_weights()])
    with pytest.raises(
        ValueError, match="text number 3 do not fit float16: the largest is"
    ):
        embed_corpus(layer, SENTENCES, tmp_path / "a.h5", dtype="float16", **QUIET)
    assert contents(tmp_path) == {}


# ---------------------------------------------------------------------------- what it says


def test_shows_the_progress(
    layer: ElmoEmbeddingLayer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embed_corpus(layer, SENTENCES, tmp_path / "a.npy")
    shown = capsys.readouterr().err
    assert "Embedding: 100%" in shown
    assert " tokens/s]" in shown
    embed_corpus(layer, SENTENCES, tmp_path / "b.npy", progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"path": "out.txt"},
            ValueError,
            r"path must end in .hdf5, .h5, .npy, .parquet; got",
        ),
        ({"path": "out.parquet"}, ValueError, "pooled must be True for a Parquet file"),
        ({"path": "none/a.npy"}, FileNotFoundError, "there is no directory 'none'. Make"),
        ({"corpus": "none.txt"}, FileNotFoundError, "no file 'none.txt'. Put sentences in"),
        ({"corpus": "."}, ValueError, r"corpus: '\.' is no regular file, which could be"),
        ({"corpus": None}, TypeError, "corpus must be a list"),
        (
            {"layers": "best"},
            ValueError,
            "layers must be one of 'all', 'top', 'average', '",
        ),
        ({"pooled": 1}, ValueError, "pooled must be True or False; got 1"),
        ({"dtype": "int8"}, ValueError, "dtype must be one of 'float32', 'float16'; got"),
        (
            {"on_error": "ignore"},
            ValueError,
            "on_error must be one of 'fail', 'repair', 's",
        ),
        ({"max_tokens": 0}, ValueError, "max_tokens must be a positive integer; got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive integer; got 0"),
        ({"token_budget": None}, ValueError, "token_budget must be a positive integer"),
        ({"progress": 1}, ValueError, "progress must be True or False; got 1"),
        ({"sentence_keys": 1}, ValueError, "sentence_keys must be True or False; got 1"),
        (
            {"sentence_keys": True},
            ValueError,
            "sentence_keys=True is for HDF5; use it with",
        ),
        (
            {"path": "a.h5", "sentence_keys": True, "forget_sentences": True},
            ValueError,
            "sentence_keys=True keeps the sentences, forget_sentences=True does not",
        ),
    ],
)
def test_refuses(
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
    layer: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"corpus": SENTENCES, "path": "a.npy", **arguments}
    with pytest.raises(error, match=message):
        embed_corpus(layer, **options)
    assert contents(tmp_path) == {}


# ------------------------------------------------------------------------------ the reader


def test_reads_a_file_of_allennlp(tmp_path: Path) -> None:
    """What AllenNLP's command wrote has no fingerprint."""
    path = tmp_path / "out.hdf5"
    arrays = [np.full((3, n, 4), n, np.float32) for n in (2, 1)]
    with h5py.File(path, "w") as file:
        for i, array in enumerate(arrays):
            file.create_dataset(str(i), array.shape, dtype="float32", data=array)
        text = file.create_dataset("sentence_to_index", (1,), h5py.string_dtype())
        text[0] = json.dumps({"a b": "0", "c": "1"})
    with open_embeddings(path) as embeddings:
        assert len(embeddings) == 2
        assert embeddings.sentences == ["a b", "c"]
        np.testing.assert_array_equal(embeddings["a b"], arrays[0])
        np.testing.assert_array_equal(embeddings[1], arrays[1])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_keys(suffix: str, pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    with embed_corpus(pooled, SENTENCES, path, pooled=True, **QUIET) as embeddings:
        for key in (7, -8):
            with pytest.raises(
                IndexError, match=rf"index {key} is out of range: .* has 7 s"
            ):
                embeddings[key]
        with pytest.raises(KeyError, match="has no sentence 'a cow'"):
            embeddings["a cow"]
        for wrong in (1.5, True, slice(2)):
            with pytest.raises(
                TypeError, match="key must be an integer or a sentence; got"
            ):
                embeddings[wrong]
        assert 3 not in embeddings


def test_large_parquet_files_have_groups_of_rows(
    pooled: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    texts = [f"w{i}" for i in range(5000)]
    path = tmp_path / "out.parquet"
    found = embed_corpus(pooled, texts, path, pooled=True, layers="top", progress=False)
    assert found.sentences == texts
    rows = [0, 4095, 4096, 4999, 1]
    expected = np.asarray(pooled([texts[i] for i in rows]))[:, 2]
    np.testing.assert_allclose([found[i] for i in rows], expected, atol=1e-6)


def hdf5_with(path: Path, name: str, make: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["0"] = np.zeros((3, 1, 2), np.float32)
        make(file, name)
    return path


def test_refuses_dangerous_files(tmp_path: Path) -> None:
    def linked(file: h5py.File, name: str) -> None:
        file[name] = h5py.ExternalLink("/etc/passwd", "0")

    def external(file: h5py.File, name: str) -> None:
        places = [(str(tmp_path / "secret"), 0, 8)]
        file.create_dataset(name, (2,), "f4", external=places)

    def hollow(file: h5py.File, name: str) -> None:
        file.create_dataset(name, (1 << 40,), "f4")

    def words(file: h5py.File, name: str) -> None:
        file.create_dataset(name, (1,), h5py.string_dtype())

    for make, message in (
        (linked, "'1' is no array in the file"),
        (external, "'1' is stored outside the file"),
        (hollow, "'1' declares 4,398,046,511,104 bytes and stores 0"),
        (words, "'1' has dtype object, not floating point"),
    ):
        path = hdf5_with(tmp_path / "a.hdf5", "1", make)
        with (
            open_embeddings(path) as embeddings,
            pytest.raises(ValueError, match=f"Refusing to read .*a.hdf5': {message}"),
        ):
            embeddings[1]
    for index in ('{"a": 7}', '{"a": "x"}', "[1]", "{"):

        def told(file: h5py.File, name: str, index: str = index) -> None:
            file.create_dataset(name, (1,), h5py.string_dtype())[0] = index

        path = hdf5_with(tmp_path / "b.hdf5", "sentence_to_index", told)
        with (
            open_embeddings(path) as embeddings,
            pytest.raises(ValueError, match=r"'sentence_to_index' is damaged \("),
        ):
            embeddings["a"]


def test_refuses_what_is_no_file_of_embeddings(
    layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"path: there is no file .*none.npy'\.$"):
        open_embeddings(tmp_path / "none.npy")
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"no")
        with pytest.raises(ValueError, match=r"is no file of embeddings, or damaged \("):
            open_embeddings(path)
    for array in (np.float32(3), np.arange(5), np.zeros((3, 2), np.int32)):
        np.save(tmp_path / "c.npy", array)
        with pytest.raises(ValueError, match=r"damaged \(an array \(.*\) of "):
            open_embeddings(tmp_path / "c.npy")
    path = tmp_path / "b.npy"
    embeddings = embed_corpus(layer, SENTENCES, path, **QUIET)
    embeddings.close()
    embeddings.close()
    np.save(path, np.zeros((3, 3, 16), np.float32))
    with pytest.raises(ValueError, match="its offsets are of another file"):
        open_embeddings(path)
