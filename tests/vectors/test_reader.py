"""Files of embeddings, read by index and by sentence; what is refused."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors import embed_corpus, open_embeddings
from tests.vectors.small_jobs import (
    QUIET,
    SENTENCES,
    SUFFIXES,
    folder,
)


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
        for wrong in (1.5, True, b"a dog"):
            with pytest.raises(
                TypeError, match="key must be an integer, a slice or a sentence; got"
            ):
                embeddings[wrong]
        assert 3 not in embeddings
        found = embeddings[-1:2:-2]
        assert len(found) == 2
        np.testing.assert_array_equal(found, [embeddings[6], embeddings[4]])
        np.testing.assert_array_equal(embeddings[np.int8(-1)], embeddings["a dog"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_closed(suffix: str, pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    embeddings = embed_corpus(pooled, SENTENCES, path, pooled=True, **QUIET)
    assert repr(embeddings) == f"<Embeddings {str(path)!r}, 7 sentences>"
    embeddings.close()
    embeddings.close()
    assert repr(embeddings) == f"<Embeddings {str(path)!r}, closed>"
    for use in (
        lambda: embeddings[0],
        lambda: embeddings["x"],
        lambda: "x" in embeddings,
        lambda: embeddings.sentences,
        lambda: list(embeddings),
        lambda: pickle.dumps(embeddings),
    ):
        with pytest.raises(ValueError, match=rf"out{suffix}' is closed: open it again"):
            use()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_in_other_processes_and_directories(
    suffix: str,
    pooled: ElmoEmbeddingLayer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pickle has the path only; a relative one stays what it was."""
    monkeypatch.chdir(tmp_path)
    # A name that is not UTF-8, where there may be such: pyarrow itself cannot open it.
    path = os.fsdecode(b"out\xff" if sys.platform == "linux" else b"out") + suffix
    with embed_corpus(pooled, SENTENCES, path, pooled=True, **QUIET) as embeddings:
        monkeypatch.chdir(folder(tmp_path))
        pickled = pickle.dumps(embeddings)
        assert len(pickled) < 1000
        with pickle.loads(pickled) as again:
            assert again.sentences is not None
            assert again.sentences[-1] == "a dog"
            np.testing.assert_array_equal(list(again), list(embeddings))


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
    embed_corpus(layer, SENTENCES, path, **QUIET).close()
    np.save(path, np.zeros((3, 3, 16), np.float32))
    with pytest.raises(ValueError, match="its offsets are of another file"):
        open_embeddings(path)
    # Without them each token would seem to be a sentence.
    (tmp_path / "b.npy.offsets.npy").unlink()
    with pytest.raises(ValueError, match=r"\('b.npy.offsets.npy' is not beside it\)"):
        open_embeddings(path)
