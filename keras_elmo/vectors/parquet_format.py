"""Pooled embeddings in a Parquet file, for databases and data frames."""

from __future__ import annotations

import itertools
import json
import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from keras_elmo.errors import RefusedEmbeddingsError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.embeddings import Embeddings, Floats
from keras_elmo.vectors.fingerprint import Fingerprint
from keras_elmo.vectors.parquet_safety import bytes_of_pages, check_footer
from keras_elmo.vectors.store import Format, Store

_FINGERPRINT = b"keras_elmo"
_SHAPE = b"keras_elmo_shape"
_ROWS_IN_A_GROUP = 4096
# How much larger than a file its content may be: vectors hardly compress, but text does.
# Snappy, one of the two accepted codecs, compresses by a factor of 21 at most.
_LARGEST_RATIO = 25
_CODECS = {"UNCOMPRESSED", "SNAPPY"}
_MUCH = 1 << 26  # bytes
_SENTENCES_AT_ONCE = 1 << 16


def load_pyarrow() -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "path: Parquet files need pyarrow, which is not installed: pip install "
            "'keras-elmo[parquet]'. Or use a .hdf5 or .npy file."
        ) from error
    return pyarrow.parquet


@contextmanager
def _as_value_errors() -> Iterator[None]:
    import pyarrow

    try:
        yield
    except pyarrow.ArrowException as error:
        raise ValueError(error) from error


def _fingerprint(store: Store) -> Fingerprint:
    with _as_value_errors():
        metadata = load_pyarrow().read_schema(_buffer(_mapped(store.path))).metadata or {}
    return dict(parse_json(metadata[_FINGERPRINT]))


def _export(store: Store, path: Path) -> Path:
    import pyarrow as pa

    row_shape, keeps_sentences = store.shape[1:], not store.options.forget_sentences
    n_values = math.prod(row_shape)
    value = pa.from_numpy_dtype(store.dtype)
    fields = [pa.field("embedding", pa.list_(value, n_values), nullable=False)]
    if keeps_sentences:
        fields.insert(0, pa.field("sentence", pa.string(), nullable=False))
    metadata = {
        _FINGERPRINT: json.dumps(store.fingerprint),
        _SHAPE: json.dumps(row_shape),
    }
    schema = pa.schema(fields, metadata)
    rows, sentences = store.arrays(), store.corpus.sentences()
    # pyarrow cannot open names that are not UTF-8.
    with path.open("wb") as file, load_pyarrow().ParquetWriter(file, schema) as writer:
        while group := list(itertools.islice(rows, _ROWS_IN_A_GROUP)):
            vectors = np.concatenate(group)  # (group, *row_shape)
            columns = [pa.FixedSizeListArray.from_arrays(vectors.ravel(), n_values)]
            if keeps_sentences:
                texts = [s.text for s in itertools.islice(sentences, len(group))]
                columns.insert(0, pa.array(texts, pa.string()))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return path


class ParquetEmbeddings(Embeddings):
    """A row for each sentence, with ``sentence`` and ``embedding``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        parquet = load_pyarrow()
        with _as_value_errors():
            content = _mapped(self.path)
            self._file = parquet.ParquetFile(_buffer(content))
            try:
                self._check(content)
            except BaseException:
                self._file.close()
                raise
        self._group: tuple[int, Floats] | None = None

    def _check(self, content: mmap.mmap) -> None:
        """Reads the number of rows, and checks their declared size."""
        import pyarrow as pa

        schema = self._file.schema_arrow
        shape = parse_json((schema.metadata or {})[_SHAPE])
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"the shape {shape!r:.100}")
        self._shape = tuple(shape)
        n_values = math.prod(shape)
        kind = schema.field("embedding").type
        if not (
            pa.types.is_fixed_size_list(kind)
            and pa.types.is_floating(kind.value_type)
            and kind.list_size == n_values
        ):
            raise ValueError(f"embeddings of type {kind}")
        metadata = self._file.metadata
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        n_rows = [group.num_rows for group in groups]
        if min(n_rows, default=0) < 0 or sum(n_rows) != metadata.num_rows:
            raise ValueError("its groups do not have the declared rows")
        self._starts = np.cumsum([0, *n_rows])  # (groups + 1,)
        columns = [g.column(i) for g in groups for i in range(metadata.num_columns)]
        if codecs := {column.compression for column in columns} - _CODECS:
            raise ValueError(f"it is compressed as {', '.join(sorted(codecs))}")
        declared = max(
            sum(n_rows) * n_values * (kind.value_type.bit_width // 8),
            bytes_of_pages(content, columns),
        )
        if declared > max(_MUCH, _LARGEST_RATIO * len(content)):
            raise ValueError(f"it declares {declared:,} bytes and has {len(content):,}")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _sentences(self) -> list[str] | None:
        import pyarrow as pa

        schema = self._file.schema_arrow
        if "sentence" not in schema.names:
            return None
        if not pa.types.is_string(schema.field("sentence").type):
            raise ValueError("its sentences are not strings")
        result: list[Any] = []
        with (
            _as_value_errors(),
            # As a dictionary, equal strings are stored once, as in the file.
            load_pyarrow().ParquetFile(
                _buffer(_mapped(self.path)), read_dictionary=["sentence"]
            ) as file,
        ):
            for batch in file.iter_batches(_SENTENCES_AT_ONCE, columns=["sentence"]):
                texts = batch["sentence"].dictionary.to_pylist()
                places = batch["sentence"].indices.to_pylist()
                result += [None if i is None else texts[i] for i in places]
        if len(result) != len(self) or None in result:
            raise RefusedEmbeddingsError(f"{str(self.path)!r} lacks sentences.")
        return result

    def _release(self) -> None:
        self._file.close()
        self._group = None

    def _array(self, index: int) -> Floats:
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        if self._group is None or self._group[0] != group:
            with _as_value_errors():
                column = self._file.read_row_group(group, ["embedding"])["embedding"]
                values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            n_rows = int(self._starts[group + 1] - self._starts[group])
            self._group = group, values.reshape(n_rows, *self._shape)  # (rows, *shape)
        return self._group[1][index - self._starts[group]]


def _mapped(path: Path) -> mmap.mmap:
    """A memory-mapped file, because pyarrow opens only names that are UTF-8."""
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    check_footer(content)
    return content


def _buffer(content: mmap.mmap) -> Any:
    import pyarrow

    return pyarrow.BufferReader(pyarrow.py_buffer(content))


PARQUET = Format("Parquet", ParquetEmbeddings, _fingerprint, _export)
