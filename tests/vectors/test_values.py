"""The values in files of embeddings: those of AllenNLP, of the layer, of bad lines."""

from __future__ import annotations

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
from tests.tiny_models import LEAST
from tests.vectors.small_jobs import (
    KINDS,
    LENGTHS,
    QUIET,
    SENTENCES,
    SUFFIXES,
    check_tokens,
    contents,
)

PROTEINS = ">sp|P1|A one\nseq\nWENCE*\n>P2\nMK\n"


@pytest.mark.parametrize(
    ("layers", "pooled"), [("all", False), ("sum", "mean"), ("all", "sum")]
)
def test_proteins(
    layers: Any, pooled: Any, layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    path = tmp_path / "p.fa"
    path.write_text(PROTEINS)
    options = {"layers": layers, "pooled": pooled, **QUIET}
    with compute_features(layer, path, tmp_path / "a.h5", **options) as found:
        assert found.sentences == ["sp|P1|A", "P2"]
        for name, residues in (("sp|P1|A", "SEQWENCE"), ("P2", "MK")):
            expected = np.asarray(layer([" ".join(residues)])[0])  # (time, layers, D)
            expected = expected.sum(axis=1) if layers == "sum" else expected
            if pooled:
                expected = (np.mean if pooled == "mean" else np.sum)(expected, axis=0)
            # A sum is eight times as large.
            np.testing.assert_allclose(found[name], expected, atol=1e-5)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert sorted(file) == ["P2", "sp|P1|A"]


def test_texts_with_ids(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    words = "# sent_id = s{}\n1\ta" + "\t_" * 8 + "\n\n"
    (tmp_path / "a.conllu").write_text(words.format("/1") + words.format(2))
    found = compute_features(layer, tmp_path / "a.conllu", tmp_path / "a.npy", **QUIET)
    np.testing.assert_allclose(found["s/1"], np.asarray(layer(["a"])[0]), atol=1e-6)
    with pytest.raises(BadLinesError, match=r"with a '/', '.' or NUL that the name of a d"):
        compute_features(layer, tmp_path / "a.conllu", tmp_path / "a.h5", **QUIET)
    numbered = {"sentence_keys": False, **QUIET}
    found = compute_features(layer, tmp_path / "a.conllu", tmp_path / "a.h5", **numbered)
    assert found["s2"].shape == (1, 2, 16)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert sorted(file) == ["0", "1", "sentence_to_index"]
    without_ids = words.replace("# sent_id = s{}\n", "")
    (tmp_path / "b.conllu").write_text(words.format(2) + 2 * without_ids)
    compute_features(layer, tmp_path / "b.conllu", tmp_path / "b.hdf5", **QUIET).close()
    with h5py.File(tmp_path / "b.hdf5", "r") as file:
        assert sorted(file) == ["0", "1", "2", "sentence_to_index"]
    path = tmp_path / "b.fasta"
    path.write_text(f"{PROTEINS}>P2 again\nM\n>long\n{'M' * 10_001}\n")
    for name in ("b.npy", "b.h5"):  # the length is no problem, the name is
        with pytest.raises(BadLinesError, match=r"b.fasta', line 6: 'P2' is the same as b"):
            compute_features(layer, path, tmp_path / name, **QUIET)
    with pytest.raises(ValueError, match="FASTA files have other defaults than others"):
        compute_features(layer, [path, tmp_path / "a.conllu"], tmp_path / "c.npy", **QUIET)


def test_the_arrays_of_allennlp(shared: Path, tmp_path: Path, report_error: Any) -> None:
    oracle = shared / "oracles" / "allennlp_tiny"
    inputs = json.loads((oracle / "allennlp_inputs.json").read_text("utf-8"))
    with np.load(oracle / "allennlp_outputs.npz") as file:
        outputs = dict(file)
    order = [
        (batch, row, tokens)
        for batch in ("long", "edge", "plain")
        for row, tokens in enumerate(inputs[batch])
    ]
    random.Random(3).shuffle(order)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(" ".join(tokens) + "\n" for *_, tokens in order), "utf-8")
    source, path = str(oracle / "lm_weights.hdf5"), tmp_path / "out.hdf5"
    compute_features(source, corpus, path, progress=False, batch_size=3)
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
    texts = [SENTENCES[i] for i in order]
    path = tmp_path_factory.mktemp("any") / "out.npy"
    options = {"batch_size": batch_size, "token_budget": token_budget, "progress": False}
    check_tokens(compute_features(layer, texts, path, **options), layer(texts), texts)


@pytest.mark.parametrize("is_pooled", [False, True])
@pytest.mark.parametrize("layers", ["all", "top", "average"])
def test_what_is_kept(
    is_pooled: bool,
    layers: Any,
    layer: ElmoEmbeddingLayer,
    pooled: ElmoEmbeddingLayer,
    corpus: Path,
    tmp_path: Path,
) -> None:
    values = np.asarray(layer(SENTENCES))  # (n, time, 2, D)
    reduced = {"all": values, "top": values[:, :, -1], "average": values.mean(axis=2)}
    expected = [rows[:n] for rows, n in zip(reduced[layers], LENGTHS, strict=True)]
    if is_pooled:
        expected = [x.mean(axis=0) if len(x) else np.zeros(x.shape[1:]) for x in expected]
    for suffix in SUFFIXES if is_pooled else SUFFIXES[:3]:
        out = tmp_path / suffix
        out.mkdir()
        path, source = out / f"out{suffix}", pooled if is_pooled else layer
        with compute_features(source, corpus, path, layers=layers, **QUIET) as embeddings:
            check_sequence(embeddings, expected)
            (check_array if is_pooled else check_lists)(embeddings, expected)
            check_sentences(embeddings)
            if suffix == ".npy":
                assert isinstance(embeddings.values, np.memmap)
                np.testing.assert_array_equal(np.load(path), embeddings.values)
        others = [".json", *[".offsets.npy"] * (not is_pooled), ".sentences.jsonl"]
        expected_names = [path.name + end for end in ["", *others]]
        assert list(contents(out)) == expected_names[: None if suffix == ".npy" else 1]


def check_sequence(embeddings: Embeddings, expected: list[np.ndarray]) -> None:
    assert isinstance(embeddings, Embeddings)
    assert len(embeddings) == len(list(embeddings)) == len(SENTENCES)
    assert embeddings.dtype == np.float32
    for found, array in zip(embeddings, expected, strict=True):
        assert (found.shape, found.dtype) == (array.shape, np.float32)
        np.testing.assert_allclose(found, array, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(embeddings[-2], embeddings[np.int64(5)])
    for key in (7, -8):
        with pytest.raises(IndexError, match=rf"index {key} is out of range: .* is 7\."):
            embeddings[key]
    for wrong in (1.5, True, b"a dog"):
        with pytest.raises(TypeError, match="must be an integer, a slice or a sentence"):
            embeddings[wrong]
    found = embeddings[-1:2:-2]
    assert len(found) == 2
    for array, i in zip(found, (6, 4), strict=True):
        np.testing.assert_array_equal(array, embeddings[i])


def check_array(embeddings: Embeddings, expected: list[np.ndarray]) -> None:
    assert embeddings.lengths is None
    assert embeddings.shape == np.shape(expected)
    np.testing.assert_array_equal(np.asarray(embeddings), embeddings.values)
    np.testing.assert_allclose(embeddings, expected, rtol=0, atol=1e-6)
    assert np.asarray(embeddings, np.float64).dtype == np.float64


def check_lists(embeddings: Embeddings, expected: list[np.ndarray]) -> None:
    assert embeddings.lengths is not None
    assert embeddings.lengths.tolist() == LENGTHS
    joined = np.concatenate(expected)
    np.testing.assert_allclose(embeddings.values, joined, rtol=0, atol=1e-6)
    with pytest.raises(TypeError, match="use its values and lengths, or feature_"):
        np.asarray(embeddings)
    assert not hasattr(embeddings, "shape")


def check_sentences(embeddings: Embeddings) -> None:
    np.testing.assert_array_equal(embeddings["a b c d"], embeddings[5])
    np.testing.assert_array_equal(embeddings["a dog"], embeddings[6])
    assert "a b c d" in embeddings
    assert "a b" not in embeddings
    assert 3 not in embeddings
    with pytest.raises(KeyError, match="has no sentence 'a cow'"):
        embeddings["a cow"]
    assert embeddings.sentences is not None
    # HDF5, as AllenNLP has it, holds the last of equal ones only.
    is_hdf5 = embeddings.path.suffix in (".hdf5", ".h5")
    assert embeddings.sentences[1] == ("" if is_hdf5 else "a dog")
    assert embeddings.sentences[2:] == SENTENCES[2:]


@pytest.mark.parametrize("suffix", KINDS)
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
    with pytest.raises(KeyError, match=r"does not contain its sentences\. Use an index"):
        embeddings["a dog"]


def test_named_by_sentences(layer: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    texts = ["the cat sat", "a dog", "0", "sentence_to_index"]
    found = compute_features(layer, texts, path, sentence_keys=True, **QUIET)
    assert found.sentences == texts  # not in the order of the alphabet
    check_tokens(found, layer(texts), texts)
    np.testing.assert_array_equal(found[0], found["the cat sat"])
    with h5py.File(path, "r") as file:
        assert sorted(file) == sorted(texts)


def test_bad_lines(
    layer: ElmoEmbeddingLayer,
    pooled: ElmoEmbeddingLayer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(b"a dog\n\n" + b"w " * 100_000 + b"\nbad \xff\nthe cat sat\n")
    problems = ["line 3: 100,000 tokens, more than 6", "line 4: not UTF-8 (byte 5)"]
    reported = [f"{str(corpus)!r}, {problem}" for problem in problems]
    with pytest.raises(BadLinesError, match=problems[0]) as info:
        compute_features(layer, corpus, tmp_path / "out.hdf5", max_tokens=6, **QUIET)
    assert all(line in str(info.value) for line in reported)
    assert list(contents(tmp_path)) == ["corpus.txt"]
    lines = ["a dog", "", "w w w w w w", "bad \ufffd", "the cat sat"]
    for on_error, done, texts in (
        ("repair", "repaired", lines),
        ("skip", "left out", [*lines[:2], lines[4]]),
    ):
        caplog.clear()
        options: dict[str, Any] = {"on_error": on_error, "max_tokens": 6, **QUIET}
        for suffix in (".hdf5", ".npy"):
            path = tmp_path / f"{on_error}{suffix}"
            check_tokens(
                compute_features(layer, corpus, path, **options), layer(texts), texts
            )
        path = tmp_path / f"{on_error}.parquet"
        found = compute_features(pooled, corpus, path, **options)
        np.testing.assert_allclose(found, pooled(texts), rtol=0, atol=1e-6)
        assert caplog.messages == [f"{line}; {done}" for line in reported] * 3


def test_a_layer_with_max_tokens(tmp_path: Path) -> None:
    """It keeps the first tokens, as always, of a text that is too long for others."""
    layer = ElmoEmbeddingLayer(LEAST, "layers", max_tokens=2)
    found = compute_features(layer, SENTENCES, tmp_path / "a.npy", max_tokens=3, **QUIET)
    kept = [" ".join(sentence.split()[:2]) for sentence in SENTENCES]
    check_tokens(found, layer(SENTENCES), kept)
    layer.max_tokens = 4
    with pytest.raises(BadLinesError, match=r"texts\[3\]: 5 tokens, more than 3"):
        compute_features(layer, SENTENCES, tmp_path / "b.npy", max_tokens=3, **QUIET)


@pytest.mark.parametrize("suffix", [".npy", ".hdf5"])
def test_texts_without_tokens(
    suffix: str, layer: ElmoEmbeddingLayer, pooled: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    for source, shape in ((layer, (0, 2, 16)), (pooled, (2, 16))):
        path = tmp_path / f"{source.output_mode}{suffix}"
        for array in compute_features(source, ["", " "], path, **QUIET):
            np.testing.assert_array_equal(array, np.zeros(shape, np.float32), strict=True)
