"""Files of vectors that were made to do harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.pretraining.softmax_file import load_softmax
from keras_elmo.vectors import TokenFeatures, numpy_safety, open_embeddings, parquet_reader
from keras_elmo.vectors.row_file import offsets_path, sentences_path


def test_hdf5_that_holds_no_numbers(tmp_path: Path) -> None:
    """By the rules of weights, where each kind of array is tried."""
    with h5py.File(tmp_path / "vectors.hdf5", "w") as file:
        file["0"] = np.zeros((1, 2), "f4")
        file["1"] = np.zeros(4, "f4,f4")
        file.create_dataset("2", (1, 2), "f4", chunks=(1, 2))
    with open_embeddings(tmp_path / "vectors.hdf5") as embeddings:
        for index, message in ((1, "has dtype"), (2, "has 1 chunks and stores 0")):
            with pytest.raises(ValueError, match=f"vectors.hdf5': '{index}' {message}"):
                embeddings[index]


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
        (index_virtual, "is stored neither in one piece nor in chunks"),
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


def test_arrays_that_unpack_to_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numpy_safety, "_SMALLEST_LIMIT", 1000)
    (tmp_path / "vocabulary.txt").write_text(
        "\n".join(["<S>", "</S>", "<UNK>", *map(str, range(997))]) + "\n"
    )
    np.savez_compressed(tmp_path / "softmax.npz", kernel=np.zeros((1000, 8)), bias=[0.0])
    with pytest.raises(SourceError, match=r"the softmax in .*kernel unpacks from"):
        load_softmax(tmp_path, 8)
