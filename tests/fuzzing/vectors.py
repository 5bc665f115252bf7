"""Targets: the readers of files of vectors."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keras_elmo.vectors import open_embeddings
from keras_elmo.weights.hdf5_text import write_text_attribute
from tests.fuzzing.containers import mutated_npy
from tests.fuzzing.mutations import Rng, mutated, mutated_json
from tests.fuzzing.target import Files, Target, require, taken

_SENTENCES = ["the cat sat", "a dog", "one two three four five", "x"]
_LENGTHS = [len(sentence.split()) for sentence in _SENTENCES]
_OFFSETS = np.concatenate([[0], np.cumsum(_LENGTHS)])
_ROWS = np.random.default_rng(0).normal(size=(_OFFSETS[-1], 3, 4)).astype(np.float32)
_VECTORS = np.random.default_rng(1).normal(size=(len(_SENTENCES), 3, 4)).astype("f4")


class _Embeddings(Target):
    """A file of embeddings; its numbers have no checksum."""

    errors = (ValueError, FileNotFoundError)
    file: str

    def read(self, folder: Path) -> Any:
        with open_embeddings(folder / self.file) as embeddings:
            # No file of some kilobytes has more.
            require(len(embeddings) <= 1000, f"{len(embeddings)} arrays")
            arrays = [np.array(array) for array in embeddings]
            sentences = embeddings.sentences
            for sentence in sentences or []:
                embeddings[sentence]
            return arrays, sentences

    def check(self, expected: Any, found: Any) -> None:
        arrays, sentences = found
        if sentences is not None:
            are_texts = all(isinstance(sentence, str) for sentence in sentences)
            require(are_texts and len(sentences) == len(arrays), "other sentences")
        n_bytes = sum(array.nbytes for array in arrays)
        require(n_bytes <= 1 << 22, "more numbers than there are")
        are_numbers = all(array.dtype.kind == "f" for array in arrays)
        require(are_numbers, "something else than numbers")


class EmbeddingsHdf5(_Embeddings):
    """HDF5, as AllenNLP's command wrote it."""

    name = "embeddings-hdf5"
    file = "vectors.hdf5"

    def make(self, folder: Path) -> None:
        with h5py.File(folder / "packed", "w") as file:
            self._fill(file, compression="gzip", shuffle=True)
        with h5py.File(folder / "keys", "w") as file:
            write_text_attribute(file, "keras_elmo", json.dumps({"sentence_keys": True}))
            places = itertools.pairwise(_OFFSETS)
            for sentence, (start, end) in zip(_SENTENCES, places, strict=True):
                file[sentence] = np.swapaxes(_ROWS[start:end], 0, 1)
        self.others = [taken(folder / "packed"), taken(folder / "keys")]
        with h5py.File(folder / self.file, "w") as file:
            write_text_attribute(file, "keras_elmo", json.dumps({"sentence_keys": False}))
            self._fill(file)

    @staticmethod
    def _fill(file: h5py.File, **options: Any) -> None:
        for i, (start, end) in enumerate(itertools.pairwise(_OFFSETS)):
            data = np.swapaxes(_ROWS[start:end], 0, 1)
            file.create_dataset(str(i), data=data, **options)
        text = file.create_dataset("sentence_to_index", (1,), h5py.string_dtype())
        text[0] = json.dumps({s: str(i) for i, s in enumerate(_SENTENCES)})

    def spoil(self, files: Files, rng: Rng) -> Files:
        return {
            self.file: mutated(rng.choice((*[files[self.file]] * 2, *self.others)), rng)
        }


class EmbeddingsNumpy(_Embeddings):
    """NumPy: rows, offsets and sentences."""

    name = "embeddings-numpy"
    file = "vectors.npy"

    def make(self, folder: Path) -> None:
        path = folder / self.file
        np.save(path, _ROWS)
        np.save(folder / "vectors.npy.offsets.npy", _OFFSETS)
        lines = [json.dumps(sentence) + "\n" for sentence in _SENTENCES]
        (folder / "vectors.npy.sentences.jsonl").write_text("".join(lines))

    def spoil(self, files: Files, rng: Rng) -> Files:
        name = rng.choice(list(files))
        if not name.endswith(".npy"):
            lines = files[name].splitlines(keepends=True)
            i = rng.randrange(len(lines))
            lines[i] = mutated_json(lines[i].strip(), rng) + b"\n"
            return {**files, name: b"".join(lines)}
        return {**files, name: mutated_npy(files[name], rng)}


class EmbeddingsParquet(_Embeddings):
    """Parquet."""

    name = "embeddings-parquet"
    file = "vectors.parquet"

    def make(self, folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        fields = [
            pa.field("sentence", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), 12), nullable=False),
        ]
        schema = pa.schema(
            fields, {b"keras_elmo": b"{}", b"keras_elmo_shape": json.dumps([3, 4])}
        )
        columns = [
            pa.array(_SENTENCES, pa.string()),
            pa.FixedSizeListArray.from_arrays(_VECTORS.ravel(), 12),
        ]
        table = pa.Table.from_arrays(columns, schema=schema)
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(table, buffer, row_group_size=3, compression="none")
        self.plain = buffer.getvalue()
        pyarrow.parquet.write_table(table, folder / self.file, row_group_size=3)

    def spoil(self, files: Files, rng: Rng) -> Files:
        return {self.file: mutated(rng.choice((files[self.file], self.plain)), rng)}


TARGETS = (EmbeddingsHdf5, EmbeddingsNumpy, EmbeddingsParquet)
