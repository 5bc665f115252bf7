"""Files of weights and vectors that were made to do harm, beyond the tests of each kind."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from keras_elmo import ElmoConfig, SourceError
from keras_elmo.weights import hdf5_safety
from keras_elmo.weights.hdf5 import read_hdf5, write_hdf5
from keras_elmo.weights.sources import load_path
from tests.tiny_models import LEAST, TINY, random_arrays, saved_model

NAME = "CNN/b_cnn_0"

Make = Callable[[h5py.File, str], object]

# What no array of numbers is: how to make it, and what is said of it.
ODD_DATASETS: dict[str, tuple[Make, str]] = {
    "nothing": (
        lambda f, n: f.__setitem__(n, h5py.Empty("f4")),
        "has no elements|misshapen",
    ),
    "compound": (lambda f, n: f.__setitem__(n, np.zeros(4, "f4,f4")), "has dtype"),
    "enum": (
        lambda f, n: f.create_dataset(n, (4,), h5py.enum_dtype({"a": 1})),
        "has dtype uint8",
    ),
    "references": (
        lambda f, n: f.create_dataset(n, (4,), h5py.ref_dtype),
        "has dtype object",
    ),
    "lists": (
        lambda f, n: f.create_dataset(n, (4,), h5py.vlen_dtype("f4")),
        "has dtype object",
    ),
    "strings": (
        lambda f, n: f.create_dataset(n, (4,), h5py.string_dtype()),
        "has dtype object",
    ),
    "opaque": (lambda f, n: f.__setitem__(n, np.zeros(4, "V8")), "has dtype"),
    "long": (
        lambda f, n: f.__setitem__(n, np.zeros(4, np.longdouble)),
        "has dtype float128",
    ),
}
if np.dtype(np.longdouble).itemsize == 8:
    del ODD_DATASETS["long"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "weights.hdf5"
    write_hdf5(file, TINY, random_arrays(TINY))
    return file


@pytest.mark.parametrize("kind", ODD_DATASETS)
def test_hdf5_that_holds_no_numbers(weights: Path, kind: str) -> None:
    make, message = ODD_DATASETS[kind]
    with h5py.File(weights, "a") as file:
        del file[NAME]
        make(file, NAME)
    with pytest.raises(SourceError, match=rf"weights.hdf5'[\s\S]*({message})"):
        read_hdf5(weights, TINY)


def test_hdf5_with_links_in_the_place_of_groups(weights: Path) -> None:
    for link in (h5py.SoftLink("/"), h5py.SoftLink("/CNN"), h5py.ExternalLink("x", "/")):
        with h5py.File(weights, "a") as file:
            file["CNN_link"] = link
        with pytest.raises(SourceError, match=r"weights.hdf5': 'CNN_link' is a link"):
            read_hdf5(weights, TINY)
        with h5py.File(weights, "a") as file:
            del file["CNN_link"]


def test_hdf5_of_deep_groups(weights: Path) -> None:
    with h5py.File(weights, "a") as file:
        file["/".join("abcdefghij")] = np.zeros(1, "f4")
    with pytest.raises(SourceError, match=r"'a/b/.*' is nested too deeply"):
        read_hdf5(weights, TINY)


def test_hdf5_that_unpacks_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of zeros, which deflate makes a thousand times smaller."""
    path = tmp_path / "bomb.hdf5"
    with h5py.File(path, "w") as file:
        for name, array in random_arrays(TINY).items():
            file.create_dataset(name, data=np.zeros_like(array), compression="gzip")
    assert len(read_hdf5(path, TINY)) == len(random_arrays(TINY))
    monkeypatch.setattr(hdf5_safety, "_MUCH", 1000)
    with pytest.raises(SourceError, match=r"bomb.hdf5': '.*' declares [\d,]+ bytes and st"):
        read_hdf5(path, TINY)
    # And all together, where none by itself is large.
    monkeypatch.setattr(hdf5_safety, "_MUCH", 5000)
    monkeypatch.setattr(hdf5_safety, "_LARGEST_COMPRESSION_OF_MUCH", 0)
    with pytest.raises(SourceError, match=r"bomb.hdf5': '/' declares [\d,]+ bytes in all"):
        read_hdf5(path, TINY)


@pytest.mark.parametrize("checksum", [False, True])
def test_hdf5_chunks_that_unpack_to_more_than_their_size(
    weights: Path, checksum: bool
) -> None:
    """The library unpacks all of a chunk before it looks at how much that is."""
    with h5py.File(weights, "a") as file:
        del file[NAME]
        data = file.create_dataset(
            NAME, (4,), "f4", chunks=(4,), compression="gzip", fletcher32=checksum
        )
        bomb = zlib.compress(bytes(10_000_000)) + bytes(4 * checksum)
        data.id.write_direct_chunk((0,), bomb)
    with pytest.raises(SourceError, match=r"a chunk that unpacks to more than its 16 byte"):
        read_hdf5(weights, TINY)
    with h5py.File(weights, "a") as file:
        file[NAME].id.write_direct_chunk((0,), b"no zlib stream")
    with pytest.raises(SourceError, match=r"a chunk that cannot be unpacked"):
        read_hdf5(weights, TINY)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(weights: Path, value: float) -> None:
    with h5py.File(weights, "a") as file:
        file["char_embed"][7, 1] = value
    with pytest.raises(SourceError, match=r"weights.hdf5', 'char_embed' holds numbers"):
        read_hdf5(weights, TINY)


# ---------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"lstm":' * 100_000, "nested too deeply"),
        (b'{"lstm": {}, "lstm": {}, "char_cnn": {}}', "has 'lstm' twice"),
        (b'{"lstm": %s}' % (b"9" * 5000), "digits"),
        (b'{"lstm": NaN, "char_cnn": {}}', "no object 'lstm'"),
        (b'"\xff"', "utf-8"),
        (b"\0" * 100, "Expecting value|utf"),
        (b" " * (1 << 20) + b"{}", "larger than 1,048,576 bytes"),
    ],
    ids=range(7),
)
def test_options_that_are_none(tmp_path: Path, content: bytes, message: str) -> None:
    model = saved_model(tmp_path / "model", LEAST)
    (model / "options.json").write_bytes(content)
    with pytest.raises(SourceError, match=f"options.json': .*({message})"):
        load_path(model)
    with pytest.raises(ValueError, match=f"{message}|no object"):
        ElmoConfig.from_json(model / "options.json")
