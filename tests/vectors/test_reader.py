"""Files of embeddings that come from elsewhere, are closed, or are opened elsewhere."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.vectors import Embeddings, open_embeddings
from tests.vectors.small_jobs import KINDS, QUIET, SENTENCES, folder


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
        np.testing.assert_array_equal(embeddings["a b"], arrays[0].swapaxes(0, 1))
        np.testing.assert_array_equal(embeddings[1], arrays[1].swapaxes(0, 1))
        assert embeddings.lengths is not None
        assert embeddings.lengths.tolist() == [2, 1]


USES: list[Callable[[Embeddings], object]] = [
    lambda embeddings: embeddings[0],
    lambda embeddings: embeddings["x"],
    lambda embeddings: "x" in embeddings,
    lambda embeddings: embeddings.sentences,
    list,
    lambda embeddings: embeddings.values,
    np.asarray,
    pickle.dumps,
]


@pytest.mark.parametrize("suffix", KINDS)
def test_closed(suffix: str, pooled: ElmoEmbeddingLayer, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    embeddings = compute_features(pooled, SENTENCES, path, **QUIET)
    assert repr(embeddings) == f"<Embeddings {str(path)!r}, 7 sentences>"
    embeddings.close()
    embeddings.close()
    assert repr(embeddings) == f"<Embeddings {str(path)!r}, closed>"
    for use in USES:
        with pytest.raises(ValueError, match=rf"out{suffix}' is closed: open it again"):
            use(embeddings)


@pytest.mark.parametrize("suffix", KINDS)
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
    with compute_features(pooled, SENTENCES, path, **QUIET) as embeddings:
        monkeypatch.chdir(folder(tmp_path))
        pickled = pickle.dumps(embeddings)
        assert len(pickled) < 1000
        with pickle.loads(pickled) as again:
            assert again.sentences is not None
            assert again.sentences[-1] == "a dog"
            np.testing.assert_array_equal(list(again), list(embeddings))


def test_parquet_files_have_groups_of_rows(
    pooled: ElmoEmbeddingLayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_elmo.vectors.parquet_format._ROWS_IN_A_GROUP", 3)
    found = compute_features(pooled, SENTENCES, tmp_path / "out.parquet", **QUIET)
    assert found.sentences == SENTENCES
    expected = np.asarray(pooled(SENTENCES))
    for i in (0, 2, 3, 6, 1):
        np.testing.assert_allclose(found[i], expected[i], rtol=0, atol=1e-6)
