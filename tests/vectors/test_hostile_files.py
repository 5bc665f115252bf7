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

OTHER = "is damaged or not a file of embeddings"
Make = Callable[[h5py.File, str, Path], object]


def refused(path: Path, why: str = "") -> None:
    with pytest.raises(ValueError, match=rf"{path.name}' {OTHER} \({why}"):
        open_embeddings(path)


def test_what_is_not_a_file_of_embeddings(
    layer: ElmoEmbeddingLayer, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"path: there is no file .*none.npy'\.$"):
        open_embeddings(tmp_path / "none.npy")
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"no")
        refused(path)
    for array in (np.float32(3), np.arange(5.0), np.zeros((3, 2), np.int32)):
        np.save(tmp_path / "c.npy", array)
        refused(tmp_path / "c.npy", "(an array|'c.npy' holds) ")
    path = tmp_path / "b.npy"
    compute_features(layer, SENTENCES, path, **QUIET).close()
    np.save(path, np.zeros((3, 3, 16), np.float32))
    refused(path, ".*its offsets are damaged or of another file")
    # Without them each token would seem to be a sentence.
    (tmp_path / "b.npy.offsets.npy").unlink()
    refused(path, r"'b.npy.offsets.npy' is not next to it\)")


# --------------------------------------------------------------------------------- HDF5


def dataset(*args: Any, **options: Any) -> Make:
    return lambda file, name, _: file.create_dataset(name, *args, **options)


def item(value: Any) -> Make:
    return lambda file, name, _: file.__setitem__(name, value)


def outside(kind: str) -> Make:
    return lambda file, name, folder: file.create_dataset(
        name, (2,), kind, external=[(str(folder / "secret"), 0, 8)]
    )


def virtual(file: h5py.File, name: str, folder: Path) -> None:
    layout = h5py.VirtualLayout((1,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "x"), "y", (1,), "f4")
    file.create_virtual_dataset(name, layout)


# How to make what is not an array of numbers in the file, and what is said of it.
DATASETS: dict[str, tuple[Make, str]] = {
    "linked": (item(h5py.ExternalLink("/etc/passwd", "0")), "is not an array in the file"),
    "soft link": (item(h5py.SoftLink("/0")), "is not an array"),
    "group": (lambda file, name, _: file.create_group(name), "is not an array in the file"),
    "external": (outside("f4"), "is stored outside the file"),
    "virtual": (virtual, "is stored neither in one piece nor in chunks"),
    "hollow": (dataset((1 << 40,), "f4"), "declares 4,398,046,511,104 bytes and stores 0"),
    "strings": (dataset((4,), h5py.string_dtype()), "has dtype object"),
    "lists": (dataset((4,), h5py.vlen_dtype("f4")), "has dtype object"),
    "references": (dataset((4,), h5py.ref_dtype), "has dtype object"),
    "compound": (item(np.zeros(4, "f4,f4")), "has dtype"),
    "integers": (item(np.zeros(4, "i4")), "has dtype int32"),
    "opaque": (item(np.zeros(4, "V8")), "has dtype"),
    "nothing": (item(h5py.Empty("f4")), "has no elements"),
}
INDICES: dict[str, tuple[Make, str]] = {
    "linked": DATASETS["linked"],
    "external": (outside("S4"), "is stored outside the file"),
    "virtual": DATASETS["virtual"],
    "hollow": (dataset((1,), "S2000000000"), r"is damaged \("),
    **{
        text[:9]: (dataset((1,), h5py.string_dtype(), data=[text]), r"is damaged \(")
        for text in ('{"a": 7}', '{"a": "x"}', "[1]", "{", "[" * 10_000)
    },
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [*(("1", kind) for kind in DATASETS), *(("sentence_to_index", k) for k in INDICES)],
)
def test_what_hdf5_can_hold_besides_numbers(tmp_path: Path, name: str, kind: str) -> None:
    make, message = (DATASETS if name == "1" else INDICES)[kind]
    (tmp_path / "secret").write_text('{"a":0}')
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file["0"] = np.zeros((1, 2), "f4")
        make(file, name, tmp_path)
    where = "v.hdf5'" if "damaged" in message else f"Refusing to read .*v.hdf5': '{name}'"
    with open_embeddings(tmp_path / "v.hdf5") as embeddings:
        assert len(embeddings[0]) == 1
        with pytest.raises(ValueError, match=f"{where} {message}"):
            assert embeddings[1] if name == "1" else embeddings.sentences


@pytest.mark.parametrize("value", [3, np.zeros(5000), b"\xff", "[" * 10_000, "[]", "null"])
def test_hdf5_with_another_fingerprint(tmp_path: Path, value: Any) -> None:
    with h5py.File(tmp_path / "v.hdf5", "w") as file:
        file.attrs["keras_elmo"] = value
    refused(tmp_path / "v.hdf5")


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
    refused(path)
    np.save(path, np.zeros((1, 3, 2), "f4"))
    assert open_embeddings(path)[0].shape == (1, 3, 2)
    offsets.write_bytes(content)
    refused(path)


@pytest.mark.parametrize("offsets", [[0, 2, 1, 3], [1, 3], [0.0, 3.0], [[0, 3]], [-1, 3]])
def test_offsets_that_do_not_divide(tmp_path: Path, offsets: list[Any]) -> None:
    np.save(tmp_path / "v.npy", np.zeros((3, 3, 2), "f4"))
    np.save(tmp_path / "v.npy.offsets.npy", offsets)
    refused(tmp_path / "v.npy", ".*its offsets are damaged|'v.npy.offsets")


@pytest.mark.parametrize("line", ["3", "null", '{"a": 1}', "[" * 100_000, "x", '"a" "b"'])
def test_sentences_that_are_not_strings(tmp_path: Path, line: str) -> None:
    np.save(tmp_path / "v.npy", np.zeros((1, 2), "f4"))
    (tmp_path / "v.npy.sentences.jsonl").write_text(line + "\n")
    with (
        open_embeddings(tmp_path / "v.npy") as embeddings,
        pytest.raises(ValueError, match=r"v\.npy.*(another file|damaged)"),
    ):
        assert embeddings["a"]


# ------------------------------------------------------------------------------ Parquet


def parquet(
    folder: Path,
    sentences: Any = ("a",) * 4,
    shape: Any = (2,),
    kind: str = "f4",
    **options: Any,
) -> Path:
    """A file of as many vectors as sentences, (n, 2)."""
    import pyarrow as pa
    import pyarrow.parquet

    vectors = pa.FixedSizeListArray.from_arrays(np.zeros(2 * len(sentences), kind), 2)
    table = pa.table({"sentence": sentences, "embedding": vectors})
    table = table.replace_schema_metadata(
        {"keras_elmo": "{}", "keras_elmo_shape": json.dumps(shape)}
    )
    pyarrow.parquet.write_table(table, folder / "v.parquet", **options)
    return folder / "v.parquet"


def test_parquet_of_equal_sentences(tmp_path: Path) -> None:
    """They are one in memory, as in the file."""
    texts = ["a" * 1000, "b"] * 30_000
    with open_embeddings(parquet(tmp_path, texts, row_group_size=7000)) as embeddings:
        assert embeddings.sentences == texts
        assert len({id(text) for text in embeddings.sentences}) < 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            ({"shape": shape}, "the shape|embeddings of type")
            for shape in ([3], [2, 2], [-1], [], [True, 2], "2", [1 << 40] * 2, {"a": 1})
        ),
        ({"kind": "i8"}, "embeddings of type .*int64"),
        ({"compression": "zstd"}, r"it is compressed as ZSTD\)"),
        # By its own word, before any page is read.
        ({"sentences": ["a"] * 40_000}, r"it declares [\d,]+ bytes and has [\d,]+"),
        (
            {"sentences": ["a" * 1000] * 400, "use_dictionary": False},
            r"it declares [\d,]+ bytes and has [\d,]+",
        ),
    ],
)
def test_parquet_of_another_kind(
    options: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet_format, "_MUCH", 1000)
    monkeypatch.setattr(parquet_format, "_LARGEST_RATIO", 10)
    refused(parquet(tmp_path, **options), message)


@pytest.mark.parametrize("sentences", [["a", None, "b", "c"], [1, 2, 3, 4]])
def test_parquet_without_sentences(tmp_path: Path, sentences: list[Any]) -> None:
    with (
        open_embeddings(parquet(tmp_path, sentences)) as found,
        pytest.raises(ValueError, match=r"v.parquet' (lacks|is damaged)"),
    ):
        assert found.sentences
