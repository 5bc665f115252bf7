"""Files of vectors that are something else, damaged, or made to do harm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.vectors import open_embeddings, parquet_format
from tests.vectors.small_jobs import QUIET, SENTENCES, SUFFIXES

OTHER = "is not a file of embeddings, or damaged"
Make = Callable[[h5py.File, Path], object]


def test_what_is_not_a_file_of_embeddings(
    layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"path: there is no file .*none.npy'\.$"):
        open_embeddings(tmp_path / "none.npy")
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"no")
        with pytest.raises(ValueError, match=rf"a{suffix}' {OTHER} \("):
            open_embeddings(path)
    for array in (np.float32(3), np.arange(5.0), np.zeros((3, 2), np.int32)):
        np.save(tmp_path / "c.npy", array)
        with pytest.raises(ValueError, match=r"damaged \((an array|'c.npy' holds) .*\)"):
            open_embeddings(tmp_path / "c.npy")
    path = tmp_path / "b.npy"
    compute_features(layer, SENTENCES, path, **QUIET).close()
    np.save(path, np.zeros((3, 3, 16), np.float32))
    with pytest.raises(ValueError, match="its offsets are of another file"):
        open_embeddings(path)
    # Without them each token would seem to be a sentence.
    (tmp_path / "b.npy.offsets.npy").unlink()
    with pytest.raises(ValueError, match=r"\('b.npy.offsets.npy' is not next to it\)"):
        open_embeddings(path)


# --------------------------------------------------------------------------------- HDF5


def plain(file: h5py.File, name: str, *args: Any, **options: Any) -> None:
    file.create_dataset(name, *args, **options)


def virtual(file: h5py.File, name: str, folder: Path) -> None:
    layout = h5py.VirtualLayout((1,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "x"), "y", (1,), "f4")
    file.create_virtual_dataset(name, layout)


# How to make what is not an array of numbers in the file, and what is said of it.
DATASETS: dict[str, tuple[Make, str]] = {
    "linked": (
        lambda f, _: f.__setitem__("1", h5py.ExternalLink("/etc/passwd", "0")),
        "is not an array in the file",
    ),
    "soft link": (lambda f, _: f.__setitem__("1", h5py.SoftLink("/0")), "is not an array"),
    "group": (lambda f, _: f.create_group("1"), "is not an array in the file"),
    "external": (
        lambda f, p: plain(f, "1", (2,), "f4", external=[(str(p / "secret"), 0, 8)]),
        "is stored outside the file",
    ),
    "virtual": (lambda f, p: virtual(f, "1", p), "is a virtual dataset"),
    "hollow": (
        lambda f, _: plain(f, "1", (1 << 40,), "f4"),
        "declares 4,398,046,511,104 bytes and stores 0",
    ),
    "strings": (lambda f, _: plain(f, "1", (4,), h5py.string_dtype()), "has dtype object"),
    "lists": (lambda f, _: plain(f, "1", (4,), h5py.vlen_dtype("f4")), "has dtype object"),
    "references": (lambda f, _: plain(f, "1", (4,), h5py.ref_dtype), "has dtype object"),
    "compound": (lambda f, _: f.__setitem__("1", np.zeros(4, "f4,f4")), "has dtype"),
    "integers": (lambda f, _: f.__setitem__("1", np.zeros(4, "i4")), "has dtype int32"),
    "opaque": (lambda f, _: f.__setitem__("1", np.zeros(4, "V8")), "has dtype"),
    "nothing": (lambda f, _: f.__setitem__("1", h5py.Empty("f4")), "has no elements"),
}


@pytest.mark.parametrize("kind", DATASETS)
def test_hdf5_that_holds_no_numbers(tmp_path: Path, kind: str) -> None:
    make, message = DATASETS[kind]
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file["0"] = np.zeros((1, 2), "f4")
        make(file, tmp_path)
    with open_embeddings(tmp_path / "v.hdf5") as embeddings:
        assert len(embeddings[0]) == 1
        with pytest.raises(ValueError, match=f"Refusing to read .*v.hdf5': '1' {message}"):
            embeddings[1]


INDEX = "sentence_to_index"


def virtual_index(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((1,), h5py.string_dtype())
    layout[:] = h5py.VirtualSource(str(folder / "x"), "y", (1,), h5py.string_dtype())
    file.create_virtual_dataset(INDEX, layout)


def index_of(text: str) -> Make:
    def make(file: h5py.File, _: Path) -> None:
        file.create_dataset(INDEX, (1,), h5py.string_dtype())[0] = text

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f, p: plain(f, INDEX, (1,), "S8", external=[(str(p / "secret"), 0, 8)]),
            "is stored outside the file",
        ),
        (virtual_index, "is a virtual dataset"),
        (
            lambda f, p: f.__setitem__(INDEX, h5py.ExternalLink(str(p / "x"), "y")),
            "is not an array in the file",
        ),
        (lambda f, _: plain(f, INDEX, (1,), "S2000000000", chunks=None), "is damaged"),
        *((index_of(text), r"is damaged \(") for text in ('{"a": 7}', '{"a": "x"}')),
        *((index_of(text), r"is damaged \(") for text in ("[1]", "{", "[" * 10_000)),
    ],
)
def test_sentences_that_are_elsewhere_or_none(
    tmp_path: Path, make: Make, message: str
) -> None:
    (tmp_path / "secret").write_text('{"a":0}')
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file["0"] = np.zeros((1, 2), "f4")
        make(file, tmp_path)
    with open_embeddings(tmp_path / "v.hdf5") as embeddings:
        assert len(embeddings[0]) == 1
        with pytest.raises(ValueError, match=rf"v.hdf5': '{INDEX}' {message}"):
            assert embeddings.sentences


@pytest.mark.parametrize("value", [3, np.zeros(5000), b"\xff", "[" * 10_000, "[]", "null"])
def test_hdf5_with_another_fingerprint(tmp_path: Path, value: Any) -> None:
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file.attrs["keras_elmo"] = value
    with pytest.raises(ValueError, match=f"v.hdf5' {OTHER}"):
        open_embeddings(tmp_path / "v.hdf5")


# -------------------------------------------------------------------------------- NumPy


def npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode("latin1")
    return b"\x93NUMPY\1\0" + (len(text) % 65536).to_bytes(2, "little") + text + content


def header(shape: str = "(1, 1, 2)", kind: str = "'<f4'", is_fortran: bool = False) -> str:
    return f"{{'descr': {kind}, 'fortran_order': {is_fortran}, 'shape': {shape}, }}\n"


NOT_NUMPY = [
    npy(header("(1000000000000, 3, 2)")),
    npy(header("(-1, 3, 2)"), bytes(24)),
    npy(header("(True, 3, 2)"), bytes(24)),
    npy(header("(1.5,)")),
    npy(header(kind="'|O'"), b"\x80\x04N."),
    npy(header(kind="'>f4'"), bytes(8)),
    npy(header(kind="[('a', '<f4')]"), bytes(8)),
    npy(header(kind="'<f4,'"), bytes(8)),
    npy(header(is_fortran=True), bytes(8)),
    npy("{" * 9000),
    npy("{'shape': (" + "9" * 5000 + ",)}"),
    npy(header()[:-20], bytes(8)),
    npy(" " * 20_000 + header(), bytes(8)),
    npy(header(), bytes(7)),
    npy(header(), bytes(9)),
    b"\x93NUMPY\3\0" + bytes(100),
    b"PK\3\4",
    b"\x80\x04N.",  # a pickle
]


@pytest.mark.parametrize("content", NOT_NUMPY, ids=range(len(NOT_NUMPY)))
def test_numpy_files_that_are_others(tmp_path: Path, content: bytes) -> None:
    path, offsets = tmp_path / "v.npy", tmp_path / "v.npy.offsets.npy"
    path.write_bytes(content)
    np.save(offsets, [0, 1])
    with pytest.raises(ValueError, match=f"v.npy' {OTHER}"):
        open_embeddings(path)
    np.save(path, np.zeros((1, 3, 2), "f4"))
    assert open_embeddings(path)[0].shape == (1, 3, 2)
    offsets.write_bytes(content)
    with pytest.raises(ValueError, match=f"v.npy' {OTHER}"):
        open_embeddings(path)


@pytest.mark.parametrize("offsets", [[0, 2, 1, 3], [1, 3], [0.0, 3.0], [[0, 3]], [-1, 3]])
def test_offsets_that_do_not_divide(tmp_path: Path, offsets: list[Any]) -> None:
    np.save(tmp_path / "v.npy", np.zeros((3, 3, 2), "f4"))
    np.save(tmp_path / "v.npy.offsets.npy", offsets)
    with pytest.raises(ValueError, match=r"its offsets are of another file|'v.npy.offsets"):
        open_embeddings(tmp_path / "v.npy")


@pytest.mark.parametrize("line", ["3", "null", '{"a": 1}', "[" * 100_000, "x", '"a" "b"'])
def test_sentences_that_are_not_strings(tmp_path: Path, line: str) -> None:
    np.save(tmp_path / "v.npy", np.zeros((1, 2), "f4"))
    (tmp_path / "v.npy.sentences.jsonl").write_text(line + "\n")
    with (
        open_embeddings(tmp_path / "v.npy") as embeddings,
        pytest.raises(ValueError, match=r"v\.npy"),
    ):
        assert embeddings["a"]


# ------------------------------------------------------------------------------ Parquet

ZEROS = np.zeros((4, 2), "f4")


def parquet(
    path: Path, shape: Any, sentences: Any, vectors: np.ndarray, **options: Any
) -> Path:
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
    pyarrow.parquet.write_table(table, path, **options)
    return path


def test_parquet_of_equal_sentences(tmp_path: Path) -> None:
    """They are one in memory, as in the file."""
    texts = ["a" * 1000, "b"] * 30_000
    vectors = np.zeros((len(texts), 2), "f4")
    path = parquet(tmp_path / "v.parquet", [2], texts, vectors, row_group_size=7000)
    with open_embeddings(path) as embeddings:
        assert embeddings.sentences == texts
        assert len({id(text) for text in embeddings.sentences}) < 100


@pytest.mark.parametrize(
    "shape", [[3], [2, 2], [-1], [], [True, 2], "2", [1 << 40, 1 << 40], {"a": 1}]
)
def test_parquet_of_another_shape(tmp_path: Path, shape: Any) -> None:
    with pytest.raises(ValueError, match=f"v.parquet' {OTHER}"):
        open_embeddings(parquet(tmp_path / "v.parquet", shape, ["a"] * 4, ZEROS))


@pytest.mark.parametrize("sentences", [["a", None, "b", "c"], [1, 2, 3, 4]])
def test_parquet_without_sentences(tmp_path: Path, sentences: list[Any]) -> None:
    with (
        open_embeddings(parquet(tmp_path / "v.parquet", [2], sentences, ZEROS)) as found,
        pytest.raises(ValueError, match=r"v.parquet' (lacks|is damaged)"),
    ):
        assert found.sentences


def test_parquet_of_other_types(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    with pytest.raises(ValueError, match=r"damaged \(embeddings of type .*int64"):
        open_embeddings(parquet(path, [2], ["a"] * 4, ZEROS.astype(int)))
    with pytest.raises(ValueError, match=r"damaged \(it is compressed as ZSTD\)"):
        open_embeddings(parquet(path, [2], ["a"] * 4, ZEROS, compression="zstd"))


@pytest.mark.parametrize(
    ("sentences", "use_dictionary"), [(["a"] * 40_000, True), (["a" * 1000] * 400, False)]
)
def test_parquet_that_unpacks_to_much(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sentences: list[str],
    use_dictionary: bool,
) -> None:
    """By its own word, before any page is read."""
    monkeypatch.setattr(parquet_format, "_MUCH", 1000)
    monkeypatch.setattr(parquet_format, "_LARGEST_RATIO", 10)
    vectors = np.zeros((len(sentences), 2), "f4")
    options = {"use_dictionary": use_dictionary}
    path = parquet(tmp_path / "v.parquet", [2], sentences, vectors, **options)
    with pytest.raises(ValueError, match=r"it declares [\d,]+ bytes and has [\d,]+"):
        open_embeddings(path)
