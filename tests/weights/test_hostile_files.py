"""Files of weights and vectors that were made to do harm, beyond the tests of each kind."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_elmo import ElmoConfig, SourceError
from keras_elmo.vectors import TokenFeatures, open_embeddings, parquet_reader
from keras_elmo.vectors.row_file import offsets_path, sentences_path
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
def test_hdf5_that_holds_no_numbers(weights: Path, tmp_path: Path, kind: str) -> None:
    make, message = ODD_DATASETS[kind]
    with h5py.File(weights, "a") as file:
        del file[NAME]
        make(file, NAME)
    with pytest.raises(SourceError, match=rf"weights.hdf5'[\s\S]*({message})"):
        read_hdf5(weights, TINY)
    with h5py.File(tmp_path / "vectors.hdf5", "w") as file:
        file["0"] = np.zeros((1, 2), "f4")
        make(file, "1")
    with (
        open_embeddings(tmp_path / "vectors.hdf5") as embeddings,
        pytest.raises(ValueError, match=rf"vectors.hdf5': '1' ({message})"),
    ):
        embeddings[1]


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


# -------------------------------------------------------------------- files of vectors


def index_elsewhere(file: h5py.File, folder: Path) -> None:
    places = [(str(folder / "secret"), 0, 8)]
    file.create_dataset("sentence_to_index", (1,), "S8", external=places)


def index_virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((1,), h5py.string_dtype())
    layout[:] = h5py.VirtualSource(str(folder / "x"), "y", (1,), h5py.string_dtype())
    file.create_virtual_dataset("sentence_to_index", layout)


def index_linked(file: h5py.File, folder: Path) -> None:
    file["sentence_to_index"] = h5py.ExternalLink(str(folder / "x"), "y")


def index_hollow(file: h5py.File, folder: Path) -> None:
    file.create_dataset("sentence_to_index", (1,), "S2000000000", chunks=None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (index_elsewhere, "is stored outside the file"),
        (index_virtual, "is a virtual dataset"),
        (index_linked, "is no array in the file"),
        (index_hollow, "is damaged"),
    ],
)
def test_sentences_that_are_elsewhere(tmp_path: Path, make: Any, message: str) -> None:
    (tmp_path / "secret").write_text('{"a":0}')
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file["0"] = np.zeros((1, 2), "f4")
        make(file, tmp_path)
    with open_embeddings(tmp_path / "v.hdf5") as embeddings:
        assert len(embeddings[0]) == 1
        with pytest.raises(ValueError, match=rf"v.hdf5': 'sentence_to_index' {message}"):
            assert embeddings.sentences


@pytest.mark.parametrize("value", [3, np.zeros(5000), b"\xff", "[" * 10_000, "[]", "null"])
def test_hdf5_with_another_fingerprint(tmp_path: Path, value: Any) -> None:
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file.attrs["keras_elmo"] = value
    with pytest.raises(ValueError, match=r"v.hdf5' is no file of embeddings, or damaged"):
        open_embeddings(tmp_path / "v.hdf5")


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode("latin1")
    return b"\x93NUMPY\1\0" + (len(text) % 65536).to_bytes(2, "little") + text + content


def header(shape: str = "(1, 1, 2)", kind: str = "'<f4'") -> str:
    return f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    "content",
    [
        npy(header("(1000000000000, 3, 2)")),
        npy(header("(-1, 3, 2)"), bytes(24)),
        npy(header("(True, 3, 2)"), bytes(24)),
        npy(header("(1.5,)")),
        npy(header(kind="'|O'"), b"\x80\x04N."),
        npy(header(kind="[('a', '<f4')]"), bytes(8)),
        npy(header(kind="'<f4,'"), bytes(8)),
        npy("{" * 9000),
        npy("{'shape': (" + "9" * 5000 + ",)}"),
        npy(header()[:-20], bytes(8)),
        npy(" " * 20_000 + header(), bytes(8)),
        npy(header(), bytes(7)),
        npy(header(), bytes(9)),
        b"\x93NUMPY\3\0" + bytes(100),
        b"PK\3\4",
        b"\x80\x04N.",  # a pickle
    ],
    ids=range(16),
)
def test_numpy_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "v.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"v.npy' is no file of embeddings, or damaged"):
        open_embeddings(path)
    np.save(offsets_path(path), [0, 1])
    with pytest.raises(ValueError, match=r"v.npy' or the offsets .* are no token-level"):
        TokenFeatures.load(path)
    np.save(path, np.zeros((1, 3, 2), "f4"))
    assert len(TokenFeatures.load(path)) == 1
    offsets_path(path).write_bytes(content)
    for opener in (open_embeddings, TokenFeatures.load):
        with pytest.raises(ValueError, match=r"v\.npy"):
            opener(path)


@pytest.mark.parametrize("offsets", [[0, 2, 1, 3], [1, 3], [0.0, 3.0], [[0, 3]], [-1, 3]])
def test_offsets_that_do_not_divide(tmp_path: Path, offsets: list[Any]) -> None:
    np.save(tmp_path / "v.npy", np.zeros((3, 3, 2), "f4"))
    np.save(offsets_path(tmp_path / "v.npy"), offsets)
    for opener in (open_embeddings, TokenFeatures.load):
        with pytest.raises(ValueError, match="its offsets are of another file, or damaged"):
            opener(tmp_path / "v.npy")


@pytest.mark.parametrize("line", ["3", "null", '{"a": 1}', "[" * 100_000, "x", '"a" "b"'])
def test_sentences_that_are_no_strings(tmp_path: Path, line: str) -> None:
    np.save(tmp_path / "v.npy", np.zeros((1, 2), "f4"))
    sentences_path(tmp_path / "v.npy").write_text(line + "\n")
    with (
        open_embeddings(tmp_path / "v.npy") as embeddings,
        pytest.raises(ValueError, match=r"v\.npy"),
    ):
        assert embeddings["a"]


def parquet(path: Path, shape: Any, sentences: Any, vectors: np.ndarray) -> Path:
    import pyarrow as pa
    import pyarrow.parquet

    width = vectors.shape[1]
    columns = {
        "sentence": sentences,
        "embedding": pa.FixedSizeListArray.from_arrays(vectors.ravel(), width),
    }
    table = pa.table(columns).replace_schema_metadata(
        {"keras_elmo": "{}", "keras_elmo_shape": json.dumps(shape)}
    )
    pyarrow.parquet.write_table(table, path)
    return path


def test_parquet_that_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, zeros = tmp_path / "v.parquet", np.zeros((4, 2), "f4")
    with open_embeddings(parquet(path, [2], ["a"] * 4, zeros)) as embeddings:
        assert embeddings.sentences == ["a"] * 4
    for shape in ([3], [2, 2], [-1], [], [True, 2], "2", [1 << 40, 1 << 40], {"a": 1}):
        with pytest.raises(
            ValueError, match=r"v.parquet' is no file of embeddings, or dam"
        ):
            open_embeddings(parquet(path, shape, ["a"] * 4, zeros))
    with pytest.raises(ValueError, match=r"damaged \(embeddings of type .*int64"):
        open_embeddings(parquet(path, [2], ["a"] * 4, zeros.astype(int)))
    for sentences in (["a", None, "b", "c"], [1, 2, 3, 4]):
        with (
            open_embeddings(parquet(path, [2], sentences, zeros)) as embeddings,
            pytest.raises(ValueError, match=r"v.parquet' (lacks|is damaged)"),
        ):
            assert embeddings.sentences
    monkeypatch.setattr(parquet_reader, "_MUCH", 1000)
    path = parquet(path, [2], ["a" * 1000] * 4000, np.zeros((4000, 2), "f4"))
    with (
        open_embeddings(path) as embeddings,
        pytest.raises(ValueError, match=r"its sentences unpack to more than"),
    ):
        assert embeddings.sentences
    with pytest.raises(ValueError, match=r"it declares 320,000 bytes and has"):
        open_embeddings(parquet(path, [2], ["a"] * 40_000, np.zeros((40_000, 2), "f4")))


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
