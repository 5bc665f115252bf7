"""Targets: the readers of files of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from keras_elmo import ElmoEmbeddingLayer, compute_features
from keras_elmo.vectors import open_embeddings
from tests.fuzzing.containers import mutated_npy
from tests.fuzzing.mutations import Rng, mutated, mutated_json
from tests.fuzzing.target import Files, Target, require, taken
from tests.tiny_models import LEAST

_SENTENCES = ["the cat sat", "a dog", "one two three four five", "x"]


class _Embeddings(Target):
    """A file of embeddings; its numbers have no checksum."""

    errors = (ValueError, FileNotFoundError)
    file: str
    output_mode: Any = "layers"

    def make(self, folder: Path) -> None:
        keras.utils.set_random_seed(0)
        layer = ElmoEmbeddingLayer(LEAST, self.output_mode)
        compute_features(layer, _SENTENCES, folder / self.file, progress=False)

    def spoil(self, files: Files, rng: Rng) -> Files:
        return {**files, self.file: mutated(files[self.file], rng)}

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
        super().make(folder)
        with (
            h5py.File(folder / self.file) as plain,
            h5py.File(folder / "packed", "w") as packed,
            h5py.File(folder / "keys", "w") as keys,
        ):
            for i, sentence in enumerate(_SENTENCES):
                array = plain[str(i)][:]
                packed.create_dataset(str(i), data=array, compression="gzip", shuffle=True)
                keys[sentence] = array  # as AllenNLP does with sentences as keys
            plain.copy("sentence_to_index", packed)
        self.others = [taken(folder / "packed"), taken(folder / "keys")]

    def spoil(self, files: Files, rng: Rng) -> Files:
        form = rng.choice((files[self.file], files[self.file], *self.others))
        return {self.file: mutated(form, rng)}


class EmbeddingsNumpy(_Embeddings):
    """NumPy: rows, offsets and sentences."""

    name = "embeddings-numpy"
    file = "vectors.npy"

    def spoil(self, files: Files, rng: Rng) -> Files:
        name = rng.choice([n for n in files if n.endswith((".npy", ".jsonl"))])
        if name.endswith(".npy"):
            return {**files, name: mutated_npy(files[name], rng)}
        lines = files[name].splitlines(keepends=True)
        i = rng.randrange(len(lines))
        lines[i] = mutated_json(lines[i].strip(), rng) + b"\n"
        return {**files, name: b"".join(lines)}


class EmbeddingsParquet(_Embeddings):
    """Parquet."""

    name = "embeddings-parquet"
    file = "vectors.parquet"
    output_mode = "pooled_layers"


TARGETS = (EmbeddingsHdf5, EmbeddingsNumpy, EmbeddingsParquet)
