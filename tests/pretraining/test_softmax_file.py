"""The softmax beside a model: what is written is read, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.pretraining import Vocabulary
from keras_elmo.pretraining.softmax_file import (
    SOFTMAX_NAME,
    VOCABULARY_NAME,
    SoftmaxWeights,
    has_softmax,
    load_softmax,
    save_softmax,
)

WORDS = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b"])


@pytest.fixture
def softmax() -> SoftmaxWeights:
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(5, 3)), rng.normal(size=5)
    return SoftmaxWeights(WORDS, kernel.astype(np.float32), bias.astype(np.float32))


def test_round_trip(softmax: SoftmaxWeights, tmp_path: Path) -> None:
    assert not has_softmax(tmp_path)
    save_softmax(tmp_path, softmax)
    assert has_softmax(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        SOFTMAX_NAME,
        VOCABULARY_NAME,
    ]
    # A source may also be named by its HDF5 file.
    for path in (tmp_path, tmp_path / "weights.hdf5"):
        loaded = load_softmax(path, 3)
        assert loaded.vocabulary.words == WORDS.words
        np.testing.assert_array_equal(loaded.kernel, softmax.kernel)
        np.testing.assert_array_equal(loaded.bias, softmax.bias)


def test_half_precision(softmax: SoftmaxWeights, tmp_path: Path) -> None:
    save_softmax(tmp_path, softmax, np.float16)
    loaded = load_softmax(tmp_path, 3)
    assert loaded.kernel.dtype == loaded.bias.dtype == np.float32
    np.testing.assert_array_equal(loaded.kernel, softmax.kernel.astype(np.float16))


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no vocabulary.txt and softmax.npz.*--init"):
        load_softmax(tmp_path, 3)


def test_wrong_width(softmax: SoftmaxWeights, tmp_path: Path) -> None:
    save_softmax(tmp_path, softmax)
    with pytest.raises(
        SourceError, match=r"expected kernel .* \(5, 4\).*got float32 \(5, 3"
    ):
        load_softmax(tmp_path, 4)


def test_other_vocabulary(softmax: SoftmaxWeights, tmp_path: Path) -> None:
    save_softmax(tmp_path, softmax)
    Vocabulary(WORDS.words[:-1]).save(tmp_path / VOCABULARY_NAME)
    with pytest.raises(SourceError, match=r"expected kernel .* \(4, 3\)"):
        load_softmax(tmp_path, 3)


def test_integers(softmax: SoftmaxWeights, tmp_path: Path) -> None:
    save_softmax(tmp_path, softmax)
    np.savez(tmp_path / SOFTMAX_NAME, kernel=np.ones((5, 3)), bias=np.ones(5, np.int64))
    with pytest.raises(SourceError, match=r"expected bias to be floating-point.*int64"):
        load_softmax(tmp_path, 3)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip archive"])
def test_damaged(content: bytes, softmax: SoftmaxWeights, tmp_path: Path) -> None:
    save_softmax(tmp_path, softmax)
    (tmp_path / SOFTMAX_NAME).write_bytes(content)
    with pytest.raises(SourceError, match="Cannot read the softmax"):
        load_softmax(tmp_path, 3)


def test_pickle_is_refused(softmax: SoftmaxWeights, tmp_path: Path) -> None:
    save_softmax(tmp_path, softmax)
    objects = np.array([print] * 5, dtype=object)
    np.savez(tmp_path / SOFTMAX_NAME, kernel=objects, bias=objects)
    with pytest.raises(SourceError, match=r"the softmax.*'kernel' holds object"):
        load_softmax(tmp_path, 3)


def test_nothing_half_written(
    softmax: SoftmaxWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_softmax(tmp_path, softmax)
    assert [path.name for path in tmp_path.iterdir()] == [VOCABULARY_NAME]
