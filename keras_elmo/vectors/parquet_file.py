"""Pooled embeddings in a Parquet file, for databases and data frames."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.layout import Layout
from keras_elmo.vectors.row_file import RowFile

FINGERPRINT = b"keras_elmo"
SHAPE = b"keras_elmo_shape"
_ROWS_IN_A_GROUP = 4096


def load_pyarrow() -> ModuleType:
    """Imports ``pyarrow.parquet``.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "path: Parquet files need pyarrow. Install it (pip install "
            "'keras-elmo[parquet]'), or name a .hdf5 or .npy file."
        ) from error
    parquet: ModuleType = pyarrow.parquet
    return parquet


class ParquetEmbeddings(RowFile):
    """A row for each sentence, in their order: ``sentence`` and ``embedding``.

    Parquet is written from beginning to end, which batches of similar length are not. So
    the vectors are collected in a NumPy file, and written as Parquet when all are there.

    Args:
        path: The name of the complete file.
        layout: What goes into it.

    Raises:
        ImportError: pyarrow is not installed.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        load_pyarrow()
        super().__init__(
            path,
            layout.fingerprint,
            np.arange(len(layout.scan.n_tokens) + 1),  # (n + 1,)
            False,
            layout.token_shape,
            layout.dtype,
        )
        self.layout = layout
        self.n_bytes_needed = 2 * self.n_bytes

    def is_complete(self) -> bool:
        """Whether the file is there, with these embeddings.

        Raises:
            FileExistsError: There is another file of this name.
            ValueError: It has other embeddings.
        """
        if not self.path.exists():
            return False
        import pyarrow

        try:
            with self.path.open("rb") as file:
                metadata = load_pyarrow().read_schema(file).metadata or {}
            found = dict(parse_json(metadata[FINGERPRINT]))
        except (
            *(LookupError, OSError, TypeError, ValueError),
            pyarrow.ArrowException,
        ) as error:
            raise FileExistsError(
                f"path: {str(self.path)!r} exists, and is no Parquet file of embeddings "
                "written by this library. Name another file, or delete it."
            ) from error
        self.check_fingerprint(found, self.path)
        # Left behind if a process was killed between the last steps.
        self.discard()
        return True

    def write_vectors(self, sentence: int, vectors: NDArray[Any]) -> None:
        """Keeps the vectors of a sentence."""
        self.write_rows(sentence, vectors)

    def complete(self) -> None:
        """Writes the Parquet file, and gives it its name."""
        temporary = self.path.with_name(f"{self.path.name}.part2")
        try:
            self._write_parquet(temporary)
            self.name_complete(temporary)
        finally:
            temporary.unlink(missing_ok=True)
        self.discard()

    def _write_parquet(self, path: Path) -> None:
        import pyarrow as pa

        n_values = int(np.prod(self.layout.token_shape))
        value = pa.from_numpy_dtype(self.dtype)
        fields = [pa.field("embedding", pa.list_(value, n_values), nullable=False)]
        if self.layout.keeps_sentences:
            fields.insert(0, pa.field("sentence", pa.string(), nullable=False))
        metadata = {
            FINGERPRINT: json.dumps(self.fingerprint),
            SHAPE: json.dumps(self.layout.token_shape),
        }
        schema = pa.schema(fields, metadata)
        rows = np.load(self.part, mmap_mode="r")  # (n, *token_shape)
        sentences = self.layout.scan.sentences()
        # pyarrow itself opens no names that are not UTF-8.
        with path.open("wb") as file, load_pyarrow().ParquetWriter(file, schema) as writer:
            for start in range(0, len(rows), _ROWS_IN_A_GROUP):
                group = np.array(rows[start : start + _ROWS_IN_A_GROUP])  # (group, ...)
                columns = [pa.FixedSizeListArray.from_arrays(group.ravel(), n_values)]
                if self.layout.keeps_sentences:
                    texts = [s.text for s in itertools.islice(sentences, len(group))]
                    columns.insert(0, pa.array(texts, pa.string()))
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
