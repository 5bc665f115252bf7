"""Pooled embeddings in a Parquet file, read."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from keras_elmo.errors import RefusedEmbeddingsError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors import parquet_file
from keras_elmo.vectors.embeddings import Embeddings, Floats

# How much larger than the file what is in it may be: vectors hardly compress.
_LARGEST_RATIO = 20
_LARGEST_RATIO_OF_TEXT = 100
_MUCH = 1 << 26  # bytes
_SENTENCES_AT_ONCE = 1024


class ParquetReader(Embeddings):
    """A row for each sentence.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        import pyarrow

        parquet = parquet_file.load_pyarrow()
        try:
            self._file = parquet.ParquetFile(_mapped(self.path))
            try:
                self._look()
            except BaseException:
                self._file.close()
                raise
        except pyarrow.ArrowException as error:
            raise ValueError(error) from error
        self._group: tuple[int, Floats] | None = None

    def _look(self) -> None:
        """Finds out which rows there are, before any is read."""
        import pyarrow as pa

        schema = self._file.schema_arrow
        shape = parse_json((schema.metadata or {})[parquet_file.SHAPE])
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"the shape {shape!r:.100}")
        self._shape = tuple(shape)
        kind = schema.field("embedding").type
        if not (
            pa.types.is_fixed_size_list(kind)
            and pa.types.is_floating(kind.value_type)
            and kind.list_size == math.prod(shape)
        ):
            raise ValueError(f"embeddings of type {kind}")
        metadata = self._file.metadata
        groups = range(metadata.num_row_groups)
        n_rows = [metadata.row_group(i).num_rows for i in groups]
        if min(n_rows, default=0) < 0 or sum(n_rows) != metadata.num_rows:
            raise ValueError("its groups have other rows than it says")
        self._starts = np.cumsum([0, *n_rows])  # (groups + 1,)
        self._size = self.path.stat().st_size
        declared = sum(n_rows) * math.prod(shape) * (kind.value_type.bit_width // 8)
        if declared > max(_MUCH, _LARGEST_RATIO * self._size):
            raise ValueError(f"it declares {declared:,} bytes and has {self._size:,}")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _sentences(self) -> list[str] | None:
        import pyarrow as pa

        if "sentence" not in self._file.schema_arrow.names:
            return None
        if not pa.types.is_string(self._file.schema_arrow.field("sentence").type):
            raise ValueError("its sentences are no strings")
        most = max(_MUCH, _LARGEST_RATIO_OF_TEXT * self._size)
        n_bytes = 0
        result: list[str] = []
        try:
            for batch in self._file.iter_batches(_SENTENCES_AT_ONCE, columns=["sentence"]):
                n_bytes += batch.nbytes
                if n_bytes > most:
                    raise ValueError(f"its sentences unpack to more than {most:,} bytes")
                result += batch["sentence"].to_pylist()
        except pa.ArrowException as error:
            raise ValueError(error) from error
        if len(result) != len(self) or None in result:
            raise RefusedEmbeddingsError(f"{str(self.path)!r} lacks sentences.")
        return result

    def _release(self) -> None:
        self._file.close()
        self._group = None

    def _array(self, index: int) -> Floats:
        import pyarrow

        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        if self._group is None or self._group[0] != group:
            try:
                column = self._file.read_row_group(group, ["embedding"])["embedding"]
                values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            except pyarrow.ArrowException as error:
                raise ValueError(error) from error
            n_rows = int(self._starts[group + 1] - self._starts[group])
            self._group = group, values.reshape(n_rows, *self._shape)  # (rows, *shape)
        array: Floats = self._group[1][index - self._starts[group]]
        return array


def _mapped(path: Path) -> Any:
    """A file in memory, which pyarrow opens itself only where its name is UTF-8."""
    import pyarrow

    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pyarrow.BufferReader(pyarrow.py_buffer(content))
