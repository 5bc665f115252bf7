"""What small files that declare much may take: the peak of memory while each is refused."""

from __future__ import annotations

import gc
import gzip
import json
import multiprocessing
import resource
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_elmo.hub.graph_safety import graph_problem
from keras_elmo.hub.sources import load_path, load_source
from keras_elmo.hub.tf_hub import read_tf_hub
from keras_elmo.pretraining import Vocabulary
from keras_elmo.pretraining.softmax_file import load_softmax
from keras_elmo.text.reader import read_sentences
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors import open_embeddings
from keras_elmo.vectors.vectors import _layer_of_model
from keras_elmo.weights.download import check_gzip
from keras_elmo.weights.hdf5 import read_hdf5
from tests.fuzzing.checkpoints import varint
from tests.fuzzing.containers import zip_of
from tests.hub.test_checkpoint_index import FIRST, block, entry, record, table
from tests.keras_files import repacked
from tests.memory import PEAK, growth
from tests.tiny_models import LEAST, TINY, saved_model

pytestmark = pytest.mark.slow

MIB = 1 << 20
N = 100_000_000

Make = Callable[[Path], Path]


# ------------------------------------------------------------------------ hostile files


def content(name: str, data: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        return folder / name

    return make


def options(data: bytes) -> Make:
    def make(folder: Path) -> Path:
        saved_model(folder)
        (folder / "options.json").write_bytes(data)
        return folder

    return make


def sizes(**changes: Any) -> bytes:
    """Options of other sizes than the weights next to them."""
    tree = TINY.to_options()
    for section in tree.values():
        section.update({k: v for k, v in changes.items() if k in section})
    return json.dumps(tree).encode()


def hdf5(**settings: Any) -> Make:
    """An array of ``N`` numbers in the place of four."""

    def make(folder: Path) -> Path:
        path = saved_model(folder) / "weights.hdf5"
        with h5py.File(path, "a") as file:
            del file["CNN/b_cnn_0"]
            data = file.create_dataset("CNN/b_cnn_0", **settings)
            if settings.get("compression") == "gzip":
                data.id.write_direct_chunk((0,), zlib.compress(bytes(N // 10)))
        return folder

    return make


def small_chunks(folder: Path) -> Path:
    path = folder / "weights.hdf5"
    with h5py.File(path, "w") as file:
        for name, shape in TINY.array_shapes().items():
            file.create_dataset(name, data=np.zeros(shape, "f4"), chunks=(1,) * len(shape))
    return path


def index_of_long_names(folder: Path) -> Path:
    """Names of 1,000 bytes that share all but the last ones."""
    value = entry((), size=4)
    records = record(b"a" * 990 + b"000000", value)
    for i in range(1, 30_000):
        records += record(b"%06d" % i, value, shared=990)
    content("variables/variables.data-00000-of-00001", bytes(96))(folder)
    content("variables/variables.index", table(block(FIRST + records)))(folder)
    return folder


def npz(folder: Path) -> Path:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n"
    array = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(60 * MIB)
    content("vocabulary.txt", b"<S>\n</S>\n<UNK>\n")(folder)
    content("softmax.npz", zip_of({"kernel.npy": array, "bias.npy": array}))(folder)
    return folder


def keras_file(folder: Path) -> Path:
    import keras

    from keras_elmo import ElmoEmbeddingLayer

    text = keras.Input((), dtype="string")
    keras.Model(text, ElmoEmbeddingLayer(LEAST)(text)).save(folder / "good.keras")

    def change(member: str, data: bytes) -> bytes:
        return data.replace(b'"dim": 12', b'"dim": 10000000') if ".json" in member else data

    return repacked(folder / "good.keras", folder / "evil.keras", change)


def integer(number: int) -> bytes:
    return varint(number << 1)


def parquet(folder: Path) -> Path:
    """A page of some bytes that stands for ``N`` equal numbers."""
    import pyarrow as pa
    import pyarrow.parquet

    numbers = np.arange(8192, dtype="f4")
    table = pa.table({"embedding": pa.FixedSizeListArray.from_arrays(numbers, 2)})
    table = table.replace_schema_metadata({"keras_elmo_shape": "[2]"})
    path = folder / "v.parquet"
    pyarrow.parquet.write_table(table, path, compression="none")
    column = pyarrow.parquet.read_metadata(path).row_group(0).column(0)
    room = column.dictionary_page_offset + column.total_compressed_size
    room -= column.data_page_offset
    # Runs: of lists, which start once; of levels; of the place in the dictionary.
    repeated = integer(1) + b"\0" + varint(N - 1 << 1) + b"\1"
    defined = varint(N << 1) + b"\3"
    levels = [struct.pack("<I", len(each)) + each for each in (repeated, defined)]
    body = b"".join(levels) + b"\x0d" + varint(N << 1) + b"\0\0"
    inner = b"\x15" + integer(N) + b"\x15\x10\x15\6\x15\6\0"
    n = room - len(inner) - 9  # of the body, filled with zeros
    header = b"\x15\0\x15" + integer(n) + b"\x15" + integer(n) + b"\x2c" + inner + b"\0"
    data = bytearray(path.read_bytes())
    start = column.data_page_offset
    data[start : start + room] = (header + body).ljust(room, b"\0")
    path.write_bytes(data)
    return path


def schema(folder: Path) -> Path:
    """A footer of many columns."""
    names = b"\x48\1a\x15" + integer(900_000) + b"\0" + b"\x48\1b\0" * 900_000
    footer = b"\x15\2\x19\xfc" + varint(900_001) + names + b"\x16\0\x19\x0c\0"
    path = folder / "v.parquet"
    path.write_bytes(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")
    return path


def message(tag: int, data: bytes) -> bytes:
    return bytes([tag]) + varint(len(data)) + data


def corpus(path: Path) -> Any:
    found = read_sentences(path, on_error="repair", report=lambda bad: None)
    return [sentence.n_tokens for sentence in found]


def graph(path: Path) -> None:
    raise ValueError(graph_problem(path.parent))


TWICE = b"{" + b'"a":0,' * 170_000 + b'"a":0}'
EMPTY = b"[" + b"[]," * 340_000 + b"[]]"
NODES = message(0x12, message(0x12, b"\x0a\x00" * 5_000_000))
SHAPE = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 3), }"
TABLE = b"a\t1234567\n" * 2_400_000
NPY = b"\x93NUMPY\1\0\x48\0" + SHAPE.ljust(72)

# How to make a file, how to read it, the MiB that this may take, and the error.
FILES: dict[str, tuple[Make, Callable[[Path], Any], int, str]] = {
    "options, equal names": (options(TWICE), load_path, 64, "has 'a' twice"),
    "options, empty lists": (options(EMPTY), load_path, 64, "must be a JSON object"),
    "options, nested": (options(b"[" * MIB), load_path, 64, "nested too deeply"),
    "options, large": (options(b" " * (64 * MIB)), load_path, 8, "larger than"),
    "options, characters": (
        options(sizes(max_characters_per_token=65_536)),
        load_source,
        8,
        "max_characters_per_token must be an integer from 3 to 512",
    ),
    "options, sizes": (
        options(sizes(dim=16_384)),
        load_source,
        8,
        "do not fit its options",
    ),
    "JSON, equal names": (
        content("a", b"{" + b'"a":0,' * 10**6 + b'"a":0}'),
        lambda path: parse_json(path.read_bytes()),
        200,
        "has 'a' twice",
    ),
    "HDF5, declared": (
        hdf5(shape=(N,), dtype="f4"),
        load_path,
        8,
        "do not fit its options",
    ),
    "HDF5, LZF": (hdf5(data=np.zeros(4, "f4"), compression="lzf"), load_path, 8, "filters"),
    "HDF5, gzip": (
        hdf5(shape=(4,), dtype="f4", chunks=(4,), compression="gzip"),
        load_path,
        8,
        "a chunk that is not one of",
    ),
    "HDF5, chunks": (small_chunks, lambda p: read_hdf5(p, TINY), 32, "is cut into"),
    "zip, options": (
        content("a.zip", zip_of({"options.json": bytes(N), "w.hdf5": b""})),
        load_path,
        8,
        "unpacks to 100,000,000 bytes",
    ),
    "zip, words of ELMoForManyLangs": (
        content(
            "a.zip",
            zip_of(
                dict.fromkeys(("encoder.pkl", "token_embedder.pkl"), TABLE)
                | {"word.dic": TABLE, "char.dic": b""}
            ),
        ),
        load_path,
        32,
        "unpacks to 24,000,000 bytes; expected at most 1,048,576",
    ),
    "words": (
        content("a.gz", gzip.compress(b"ab\n" * N)),
        Vocabulary.load,
        16,
        "more than 1",
    ),
    "gzip": (content("a.gz", gzip.compress(bytes(10 * N), 9)), check_gzip, 8, "None"),
    "checkpoint, names": (index_of_long_names, read_tf_hub, 64, "lists over 10,000"),
    "graph, nodes": (content("saved_model.pb", NODES), graph, 32, "50,000 operations"),
    "npy, declared": (content("v.npy", NPY), open_embeddings, 8, "declares 12,000,000,000"),
    "npz, more than its shape": (npz, lambda p: load_softmax(p, 4), 8, "is cut, or foll"),
    "Parquet, page": (parquet, open_embeddings, 16, "pages of other sizes"),
    "Parquet, schema": (schema, open_embeddings, 8, "a footer of 3,600,0"),
    ".keras, declared": (keras_file, _layer_of_model, 32, "dim must be an integer from"),
    "corpus, a line": (content("a.txt.gz", gzip.compress(b"a" * N)), corpus, 128, "None"),
}


# -------------------------------------------------------------------------- measurement


def measured(name: str, path: Path) -> tuple[str, int]:
    """Reads a file in a process of its own: the error, and the growth of its peak."""

    def read() -> str:
        try:
            FILES[name][1](path)
        except ValueError as caught:
            return str(caught)
        return "None"

    gc.collect()
    return growth(read)


def limited() -> None:
    import pyarrow.parquet  # noqa: F401, so that it is not counted
    import tensorflow as tf

    tf.constant(0)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (2 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@pytest.fixture(scope="module")
def reader() -> Iterator[ProcessPoolExecutor]:
    if not PEAK.exists():
        pytest.skip("the peak of memory is measured as Linux shows it")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, limited) as pool:
        yield pool


@pytest.mark.parametrize("name", FILES)
def test_memory(
    name: str,
    reader: ProcessPoolExecutor,
    tmp_path: Path,
    report_figure: Callable[[str, str], None],
) -> None:
    make, _, most, expected = FILES[name]
    path = make(tmp_path)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    error, grown = reader.submit(measured, name, path).result(timeout=120)
    report_figure(f"memory, {name}", f"{size:,} bytes take {grown / MIB:.1f} MiB")
    assert expected in error
    assert grown < most * MIB
