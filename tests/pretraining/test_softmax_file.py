"""The softmax next to a model: what is written is read, and what is wrong is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import h5py
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
from keras_elmo.weights.sources import load_path
from tests.tiny_models import TINY, saved_model

WORDS = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b"])
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(5, 3)).astype(np.float32)
BIAS = RNG.normal(size=5).astype(np.float32)
SOFTMAX = SoftmaxWeights(WORDS, KERNEL, BIAS)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_round_trip(dtype: Any, tmp_path: Path) -> None:
    assert not has_softmax(tmp_path)
    save_softmax(tmp_path, SOFTMAX, dtype)
    assert has_softmax(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {SOFTMAX_NAME, VOCABULARY_NAME}
    # A source may also be named by its HDF5 file.
    for path in (tmp_path, tmp_path / "weights.hdf5"):
        loaded = load_softmax(path, 3)
        assert loaded.vocabulary.words == WORDS.words
        assert loaded.kernel.dtype == loaded.bias.dtype == np.float32
        np.testing.assert_array_equal(loaded.kernel, KERNEL.astype(dtype))
        np.testing.assert_array_equal(loaded.bias, BIAS.astype(dtype))


@pytest.mark.parametrize("name", ["weights.hdf5", "elmo_softmax_weights.hdf5"])
def test_published_files(name: str, tmp_path: Path) -> None:
    """Beside the biLM's weights, as AllenNLP's, or among them; words in any vocab*.txt."""
    saved_model(tmp_path)
    with h5py.File(tmp_path / name, "a") as file:
        file["softmax/W"], file["softmax/b"] = KERNEL, BIAS
    message = "has no vocabulary: expected one vocab"
    with pytest.raises(SourceError, match=message):
        load_softmax(tmp_path, 3)
    words = tmp_path / "vocab-2016-09-10.txt.gz"
    words.write_bytes(gzip.compress("\n".join(WORDS.words).encode()))
    for path in (tmp_path, tmp_path / "weights.hdf5"):
        vocabulary, kernel, bias = load_softmax(path, 3)
        assert vocabulary.words == WORDS.words
        np.testing.assert_array_equal(kernel, KERNEL)
        np.testing.assert_array_equal(bias, BIAS)
        config, arrays = load_path(path)  # as without a softmax
        assert config == TINY
        assert set(arrays) == set(TINY.array_shapes())
    with pytest.raises(SourceError, match=r"misshapen: softmax/W, expected \(5, 4\)"):
        load_softmax(tmp_path, 4)
    Vocabulary([*WORDS.words, "c"]).save(tmp_path / "vocab.txt")
    with pytest.raises(SourceError, match=message):
        load_softmax(tmp_path, 3)


def test_of_several_models(tmp_path: Path) -> None:
    """As AllenNLP's models of one vocabulary, downloaded into one folder."""
    WORDS.save(tmp_path / "vocab.txt")
    for i, name in enumerate(("x_5.5B_", "x_")):
        with h5py.File(tmp_path / f"{name}softmax_weights.hdf5", "w") as file:
            file["softmax/W"], file["softmax/b"] = KERNEL + i, BIAS
    for i, name in enumerate(("x_5.5B_", "x_")):
        loaded = load_softmax(tmp_path / f"{name}weights.hdf5", 3)
        np.testing.assert_array_equal(loaded.kernel, KERNEL + i)
    # A model without one does not get the others'.
    for name in ("x_5.5B_", "x_", "y_"):
        (tmp_path / f"{name}weights.hdf5").touch()
    assert not has_softmax(tmp_path / "y_weights.hdf5")
    for name in ("x_5.5B_", "x_"):
        (tmp_path / f"{name}weights.hdf5").unlink()
    with pytest.raises(SourceError, match=r"several \*softmax_.*named 'y_softmax_weights"):
        load_softmax(tmp_path / "y_weights.hdf5", 3)


def arrays(**changes: Any) -> dict[str, Any]:
    return {"kernel": KERNEL, "bias": BIAS, **changes}


OBJECTS = np.array([len] * 5, dtype=object)  # not print, which Ray replaces


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"has no softmax. .*\*_softmax_weights.hdf5 and vocab.*--init"),
        (b"PK", "Cannot read the softmax"),
        ({"kernel": KERNEL}, r"Cannot read the softmax .* expected 2 other ones"),
        (arrays(more=BIAS), "it holds 3 arrays; expected 2 other ones"),
        (arrays(kernel=KERNEL[:, :2]), r"expected kernel .* \(5, 3\).*got float32 \(5, 2"),
        (arrays(kernel=KERNEL[:4]), r"expected kernel .* \(5, 3\).*got float32 \(4, 3"),
        (arrays(bias=np.ones(5, int)), "expected bias to be floating-point.*int64"),
        (arrays(kernel=OBJECTS), r"the softmax.*'kernel' holds object"),
        (arrays(bias=BIAS * np.nan), "'bias' holds numbers that are not finite"),
    ],
)
def test_refuses(content: Any, message: str, tmp_path: Path) -> None:
    WORDS.save(tmp_path / VOCABULARY_NAME)
    if isinstance(content, bytes):
        (tmp_path / SOFTMAX_NAME).write_bytes(content)
    elif content is not None:
        np.savez(tmp_path / SOFTMAX_NAME, **content)
    with pytest.raises(SourceError, match=message):
        load_softmax(tmp_path, 3)


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_softmax(tmp_path, SOFTMAX)
    assert [path.name for path in tmp_path.iterdir()] == [VOCABULARY_NAME]
