"""The values in files of embeddings: those of AllenNLP, of the layer, of bad lines."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.errors import BadLinesError
from keras_elmo.vectors import Embeddings
from tests.tiny_models import TINY
from tests.vectors.small_jobs import (
    LENGTHS,
    QUIET,
    SENTENCES,
    SUFFIXES,
    contents,
    folder,
)


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
    random.Random(batch_size).shuffle(order)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(" ".join(tokens) + "\n" for *_, tokens in order), "utf-8")
    source, path = str(oracle / "lm_weights.hdf5"), tmp_path / "out.hdf5"
    compute_features(source, corpus, path, progress=False, batch_size=batch_size)
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
            report_error("allennlp, compute_features", error)
            assert error < 1e-5


@given(
    order=st.permutations(range(len(SENTENCES))),
    batch_size=st.integers(1, 8),
    token_budget=st.integers(1, 30),
)
@settings(max_examples=10)
def test_batches_and_order_do_not_matter(
    order: list[int],
    batch_size: int,
    token_budget: int,
    layer: ElmoEmbeddingLayer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    expected = np.asarray(layer(SENTENCES))
    found = compute_features(
        layer,
        [SENTENCES[i] for i in order],
        tmp_path_factory.mktemp("any") / "out.npy",
        batch_size=batch_size,
        token_budget=token_budget,
        progress=False,
    )
    for place, i in enumerate(order):
        rows = expected[i, : LENGTHS[i]]  # (n_tokens, 3, D)
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
    expected = [rows[:n] for rows, n in zip(reduced[layers], LENGTHS, strict=True)]
    if is_pooled:
        expected = [x.mean(axis=0) if len(x) else np.zeros(x.shape[1:]) for x in expected]
    with compute_features(layer, corpus, path, **options) as embeddings:
        assert isinstance(embeddings, Embeddings)
        assert len(embeddings) == len(list(embeddings)) == len(SENTENCES)
        assert embeddings.dtype == np.float32
        for found, array in zip(embeddings, expected, strict=True):
            assert (found.shape, found.dtype) == (array.shape, np.float32)
            np.testing.assert_allclose(found, array, rtol=0, atol=1e-6)
        if is_pooled:
            assert embeddings.lengths is None
            assert embeddings.shape == np.shape(expected)
            np.testing.assert_array_equal(np.asarray(embeddings), embeddings.values)
            np.testing.assert_allclose(embeddings, expected, rtol=0, atol=1e-6)
            assert np.asarray(embeddings, np.float64).dtype == np.float64
        else:
            assert embeddings.lengths is not None
            assert embeddings.lengths.tolist() == LENGTHS
            joined = np.concatenate(expected)
            np.testing.assert_allclose(embeddings.values, joined, rtol=0, atol=1e-6)
            with pytest.raises(TypeError, match="use its values and lengths, or feature_"):
                np.asarray(embeddings)
            assert not hasattr(embeddings, "shape")
        if suffix == ".npy":
            assert isinstance(embeddings.values, np.memmap)
            np.testing.assert_array_equal(np.load(path), embeddings.values)
        np.testing.assert_array_equal(embeddings["a b c d"], embeddings[5])
        np.testing.assert_array_equal(embeddings[-2], embeddings[np.int64(5)])
        np.testing.assert_array_equal(embeddings["a dog"], embeddings[6])
        assert "a b c d" in embeddings
        assert "a b" not in embeddings
        assert embeddings.sentences is not None
        # HDF5, as AllenNLP has it, holds the last of equal ones only.
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
    """``pooled`` follows from the layer."""
    path = tmp_path / f"out{suffix}"
    options: dict[str, Any] = {"dtype": "float16", "forget_sentences": True, **QUIET}
    embeddings = compute_features(pooled, corpus, path, **options)
    assert embeddings[0].dtype == np.float16
    np.testing.assert_allclose(embeddings, pooled(SENTENCES), rtol=1e-3, atol=1e-6)
    assert embeddings.sentences is None
    assert "a dog" not in embeddings
    with pytest.raises(KeyError, match="does not hold its sentences; ask for an index"):
        embeddings["a dog"]


def test_named_by_sentences(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    texts = ["the cat sat", "a dog", "0", "sentence_to_index"]
    found = compute_features(layer, texts, path, sentence_keys=True, **QUIET)
    assert found.sentences == texts  # not in the order of the alphabet
    assert len(found) == len(texts)
    expected = np.asarray(layer(texts))[0]
    np.testing.assert_allclose(found["the cat sat"], expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[0], found["the cat sat"])
    with h5py.File(path, "r") as file:
        assert sorted(file) == sorted(texts)
    with pytest.raises(BadLinesError, match="line 2: the same as a sentence before"):
        compute_features(layer, ["a", "a"], tmp_path / "b.h5", sentence_keys=True, **QUIET)


def test_bad_lines(
    layer: ElmoEmbeddingLayer,
    pooled: ElmoEmbeddingLayer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(b"a dog\n\n" + b"w " * 100_000 + b"\nbad \xff\nthe cat sat\n")
    reported = ["line 3: 100,000 tokens, more than 6", "line 4: not UTF-8 (byte 5)"]
    with pytest.raises(BadLinesError, match=reported[0]) as info:
        compute_features(layer, corpus, tmp_path / "out.hdf5", max_tokens=6, **QUIET)
    assert all(line in str(info.value) for line in reported)
    assert list(contents(tmp_path)) == ["corpus.txt"]
    texts = ["a dog", "", "w w w w w w", "bad \ufffd", "the cat sat"]
    values, means = np.asarray(layer(texts)), np.asarray(pooled(texts))
    for on_error, rows in (("repair", [0, 1, 2, 3, 4]), ("skip", [0, 1, 4])):
        caplog.clear()
        options: dict[str, Any] = {"on_error": on_error, "max_tokens": 6, **QUIET}
        for suffix in (".hdf5", ".npy"):
            path = tmp_path / f"{on_error}{suffix}"
            found = compute_features(layer, corpus, path, **options)
            assert len(found) == len(rows)
            for array, i in zip(found, rows, strict=True):
                n = len(texts[i].split())
                assert array.shape == (n, 3, 16)
                np.testing.assert_allclose(array, values[i, :n], rtol=0, atol=1e-6)
        done = "repaired" if on_error == "repair" else "left out"
        assert caplog.messages == [f"{line}; {done}" for line in reported] * 2
        path = tmp_path / f"{on_error}.parquet"
        found = compute_features(pooled, corpus, path, **options)
        np.testing.assert_allclose(found, means[rows], rtol=0, atol=1e-6)


def test_a_layer_with_max_tokens(tmp_path: Path) -> None:
    """It keeps the first tokens, as always, of a text that is too long for others."""
    layer = ElmoEmbeddingLayer(TINY, "layers", max_tokens=2)
    path = tmp_path / "a.npy"
    found = compute_features(layer, SENTENCES, path, max_tokens=3, **QUIET)
    assert [len(array) for array in found] == [2, 2, 0, 2, 1, 2, 2]
    np.testing.assert_allclose(found[3], layer(SENTENCES)[3], rtol=0, atol=1e-6)


@pytest.mark.parametrize("suffix", [".npy", ".hdf5"])
@pytest.mark.parametrize("mode", ["pooled_layers", "layers"])
def test_texts_without_tokens(mode: Any, suffix: str, tmp_path: Path) -> None:
    layer = ElmoEmbeddingLayer(TINY, mode)
    found = compute_features(layer, ["", " "], tmp_path / f"out{suffix}", **QUIET)
    shape = (0, 3, 16) if mode == "layers" else (3, 16)
    for array in found:
        np.testing.assert_array_equal(array, np.zeros(shape), strict=False)
