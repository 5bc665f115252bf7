"""Embeddings in HDF5, as AllenNLP's command ``elmo`` wrote them: layers before tokens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import RefusedEmbeddingsError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.embeddings import Embeddings, Floats
from keras_elmo.vectors.fingerprint import Fingerprint
from keras_elmo.vectors.store import Format, Store
from keras_elmo.weights.hdf5 import filling
from keras_elmo.weights.hdf5_safety import dataset_problem, place_problem
from keras_elmo.weights.hdf5_text import (
    read_only_string,
    read_text_attribute,
    write_text_attribute,
)

_FINGERPRINT = "keras_elmo"
_SENTENCE_TO_INDEX = "sentence_to_index"
# An object header, its entry in the group, and the space that it leaves unused (measured).
_DATASET_BYTES = 350
_CACHE_BYTES = 1 << 20


def _layers_first(array: Floats) -> Floats:
    """Between our (tokens, n_layers + 1, D) and AllenNLP's (n_layers + 1, tokens, D)."""
    return np.swapaxes(array, 0, 1) if array.ndim == 3 else array


def _read_fingerprint(file: h5py.File) -> Fingerprint:
    return dict(parse_json(read_text_attribute(file, _FINGERPRINT)))


def _fingerprint(store: Store) -> Fingerprint:
    with h5py.File(store.path, "r") as file:
        return _read_fingerprint(file)


def _export(store: Store, path: Path) -> Path:
    options = store.options
    keeps_index = not (options.forget_sentences or options.sentence_keys)
    index = bytearray(b"{")
    file = _new_file(path)
    with filling(file) as take_room:
        write_text_attribute(file, _FINGERPRINT, json.dumps(store.fingerprint))
        pairs = zip(store.corpus.sentences(), store.arrays(), strict=True)
        for i, (sentence, rows) in enumerate(pairs):
            array = rows[0] if options.pooled else _layers_first(rows)
            key = sentence.text if options.sentence_keys else str(i)
            take_room(array.nbytes + len(key))
            file.create_dataset(key, data=array, track_times=False)
            if keeps_index:
                # Without a dictionary: JSON keeps the last of equal names anyway.
                index += f'{", " if i else ""}{json.dumps(sentence.text)}: "{i}"'.encode()
        if keeps_index:
            take_room(len(index))
            text = file.create_dataset(_SENTENCE_TO_INDEX, (1,), h5py.string_dtype())
            text[0] = bytes(index + b"}")
    return path


def _new_file(path: Path) -> h5py.File:
    """An empty file without timestamps that every HDF5 library since 1.8 reads."""
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    # Names are then listed in the order of their creation.
    creation.set_link_creation_order(
        h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED
    )
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    # Older groups keep all names in one block, which would be read repeatedly.
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)
    file = h5py.File(
        h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, creation, access)
    )
    # Otherwise HDF5 keeps the headers of all datasets in memory.
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = _CACHE_BYTES
    file.id.set_mdc_config(config)
    return file


class Hdf5Embeddings(Embeddings):
    """A dataset for each sentence, named by its index or its text."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = h5py.File(path, "r")
        try:
            if _FINGERPRINT in self._file.attrs:
                ours = _read_fingerprint(self._file)
                has_keys, self._is_pooled = ours["sentence_keys"], bool(ours.get("pooled"))
            else:
                has_keys = not (_SENTENCE_TO_INDEX in self._file or "0" in self._file)
                self._is_pooled = False
            # In the order of the corpus, or alphabetically in AllenNLP's files, which do
            # not record it.
            self._keys = list(self._file) if has_keys else None
            has_index = self._keys is None and _SENTENCE_TO_INDEX in self._file
            self._length = len(self._file) - has_index
        except BaseException:
            self._file.close()
            raise

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

    def _find_indices(self) -> dict[str, int] | None:
        if self._keys is not None:
            return {key: i for i, key in enumerate(self._keys)}
        if _SENTENCE_TO_INDEX not in self._file:
            return None
        dataset = self._dataset(_SENTENCE_TO_INDEX)
        if problem := place_problem(dataset):
            raise self._refused(_SENTENCE_TO_INDEX, problem)
        # The last of equal sentences counts.
        found = json.loads(read_only_string(self._file, dataset))
        indices = {sentence: int(index) for sentence, index in found.items()}
        if not all(0 <= index < len(self) for index in indices.values()):
            raise ValueError(f"an index in {_SENTENCE_TO_INDEX!r} is out of range")
        return indices

    def _release(self) -> None:
        self._file.close()

    def _lengths(self) -> NDArray[np.int64] | None:
        if self._is_pooled:
            return None
        shapes = (self._dataset(self._name(i)).shape for i in range(len(self)))
        return np.array([shape[-2] for shape in shapes], np.int64)

    def _array(self, index: int) -> Floats:
        name = self._name(index)
        dataset = self._dataset(name)
        if problem := dataset_problem(dataset):
            raise self._refused(name, problem)
        return _layers_first(dataset[()])

    def _name(self, index: int) -> str:
        return str(index) if self._keys is None else self._keys[index]

    def _dataset(self, name: str) -> Any:
        # A link may point to another file on the reader's machine.
        link = self._file.get(name, getlink=True)
        dataset = self._file[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(dataset, h5py.Dataset):
            raise self._refused(name, "is not an array in the file")
        return dataset

    def _refused(self, name: str, why: str) -> RefusedEmbeddingsError:
        return RefusedEmbeddingsError(
            f"Refusing to read {str(self.path)!r}: {name!r:.200} {why}."
        )


HDF5 = Format(
    "HDF5", Hdf5Embeddings, _fingerprint, _export, bytes_of_sentence=_DATASET_BYTES
)
