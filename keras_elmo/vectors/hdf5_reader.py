"""Embeddings in HDF5, read."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py

from keras_elmo.errors import RefusedEmbeddingsError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.embeddings import Embeddings, Floats
from keras_elmo.vectors.hdf5_file import FINGERPRINT, SENTENCE_TO_INDEX
from keras_elmo.weights.hdf5_safety import dataset_problem, place_problem
from keras_elmo.weights.hdf5_text import read_only_string, read_text_attribute


class Hdf5Reader(Embeddings):
    """HDF5, as AllenNLP's command ``elmo`` wrote it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = h5py.File(path, "r")
        try:
            self._look()
        except BaseException:
            self._file.close()
            raise

    def _look(self) -> None:
        """Finds out which arrays there are."""
        self._keys: list[str] | None = None
        if self._has_sentence_keys():
            # In the order of the corpus; in AllenNLP's files, which do not tell it, in that
            # of the alphabet.
            self._keys = list(self._file)
        has_index = self._keys is None and SENTENCE_TO_INDEX in self._file
        self._length = len(self._file) - has_index

    def _has_sentence_keys(self) -> bool:
        if FINGERPRINT in self._file.attrs:
            ours = parse_json(read_text_attribute(self._file, FINGERPRINT))
            return bool(ours["sentence_keys"])
        return not (SENTENCE_TO_INDEX in self._file or "0" in self._file)

    def __len__(self) -> int:
        return self._length

    def _sentences(self) -> list[str] | None:
        if self._keys is not None:
            return self._keys
        if self._indices is None:
            return None
        result = [""] * len(self)
        for sentence, index in self._indices.items():
            result[index] = sentence
        return result

    @cached_property
    def _indices(self) -> dict[str, int] | None:
        if self._keys is not None:
            return {key: i for i, key in enumerate(self._keys)}
        if SENTENCE_TO_INDEX not in self._file:
            return None
        try:
            return self._read_indices()
        except RefusedEmbeddingsError:
            raise
        except (
            *(AttributeError, LookupError, OSError, OverflowError, RuntimeError),
            *(TypeError, ValueError),
        ) as error:
            raise RefusedEmbeddingsError(
                f"{str(self.path)!r}: {SENTENCE_TO_INDEX!r} is damaged ({error!s:.300})."
            ) from error

    def _release(self) -> None:
        self._file.close()

    def _array(self, index: int) -> Floats:
        name = str(index) if self._keys is None else self._keys[index]
        dataset = self._dataset(name)
        problem = dataset_problem(dataset)
        if problem is not None:
            raise self._refused(name, problem)
        array: Floats = dataset[()]
        return array

    def _dataset(self, name: str) -> Any:
        # A link may point to another file on the reader's machine.
        link = self._file.get(name, getlink=True)
        dataset = self._file[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(dataset, h5py.Dataset):
            raise self._refused(name, "is no array in the file")
        return dataset

    def _refused(self, name: str, why: str) -> RefusedEmbeddingsError:
        return RefusedEmbeddingsError(
            f"Refusing to read {str(self.path)!r}: {name!r:.200} {why}."
        )

    def _read_indices(self) -> dict[str, int]:
        dataset = self._dataset(SENTENCE_TO_INDEX)
        if problem := place_problem(dataset):
            raise self._refused(SENTENCE_TO_INDEX, problem)
        # Of equal sentences the last counts.
        found = json.loads(read_only_string(self._file, dataset))
        indices = {sentence: int(index) for sentence, index in found.items()}
        if not all(0 <= index < len(self) for index in indices.values()):
            raise ValueError("an index is out of range")
        return indices
