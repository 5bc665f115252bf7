"""Embeddings in HDF5, as AllenNLP's command ``elmo`` wrote them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from keras_elmo.text.strict_json import parse_json
from keras_elmo.vectors.layout import Layout
from keras_elmo.vectors.partial_file import PartialFile
from keras_elmo.weights.hdf5_text import read_text_attribute, write_text_attribute

FINGERPRINT = "keras_elmo"
SENTENCE_TO_INDEX = "sentence_to_index"
# An object header, its entry in the group, and what that leaves unused; as measured.
_DATASET_BYTES = 350
_CACHE_BYTES = 1 << 20


class Hdf5Embeddings(PartialFile):
    """A dataset for each sentence, named by its index (or text), and their index.

    HDF5 files do not survive a process that is killed while it writes through the
    library. So all datasets are made, with their room in the file, before anything is
    computed, and closed; the vectors are then written where the datasets lie.

    Args:
        path: The name of the complete file.
        layout: What goes into it.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout.fingerprint)
        self.layout = layout
        self.dtype = np.dtype(layout.dtype).newbyteorder("<")
        n_tokens = layout.scan.n_tokens  # (n,)
        n_rows = len(n_tokens) if layout.vectors.pooled else int(n_tokens.sum())
        self.n_bytes = n_rows * math.prod(layout.token_shape) * self.dtype.itemsize
        self.n_bytes += len(n_tokens) * _DATASET_BYTES
        self.n_bytes_needed = self.n_bytes

    def is_complete(self) -> bool:
        """Whether the file is there, with these embeddings.

        Raises:
            FileExistsError: There is another file of this name.
            ValueError: It has other embeddings.
        """
        if not self.path.exists():
            return False
        try:
            with h5py.File(self.path, "r") as file:
                found = dict(parse_json(read_text_attribute(file, FINGERPRINT)))
        except (LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise FileExistsError(
                f"path: {str(self.path)!r} exists, and is no HDF5 file of embeddings "
                "written by this library. Name another file, or delete it."
            ) from error
        self.check_fingerprint(found, self.path)
        # Left behind if a process was killed between the last two steps.
        self.record.unlink(missing_ok=True)
        return True

    def begin(self) -> int:
        """Makes the partial file, or goes on with that of an earlier run.

        Returns:
            How many sentences are done.

        Raises:
            ValueError: The earlier run was about something else.
            DiskFullError: There is not enough room on the disk.
        """
        n_done = self.resume()
        if n_done is not None:
            # A part that was damaged since is begun anew.
            with suppress(OSError, KeyError):
                self._offsets = self._read_offsets()
                return n_done
        self.start(self.n_bytes_needed, self._make)
        self._offsets = self._read_offsets()
        return 0

    def write_vectors(self, sentence: int, vectors: NDArray[Any]) -> None:
        """Writes the vectors of a sentence."""
        if vectors.size:
            data = vectors.astype(self.dtype, copy=False).tobytes()
            self.write(int(self._offsets[sentence]), data)

    def complete(self) -> None:
        """Gives the file its name."""
        super().complete()
        self.record.unlink(missing_ok=True)

    def _make(self, path: Path) -> None:
        keeps_index = self.layout.keeps_sentences and not self.layout.sentence_keys
        kind = h5py.h5t.py_create(self.dtype)
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.CONTIGUOUS)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        properties.set_obj_track_times(False)
        index = bytearray(b"{")
        with _new_file(path) as file:
            write_text_attribute(file, FINGERPRINT, json.dumps(self.fingerprint))
            for i, sentence in enumerate(self.layout.scan.sentences()):
                key = sentence.text if self.layout.sentence_keys else str(i)
                space = h5py.h5s.create_simple(self.layout.shape(sentence.n_tokens))
                h5py.h5d.create(file.id, key.encode(), kind, space, properties)
                if keeps_index:
                    # Not as a dictionary: of equal names JSON takes the last anyway.
                    index += (
                        f'{", " if i else ""}{json.dumps(sentence.text)}: "{i}"'.encode()
                    )
            if keeps_index:
                text = file.create_dataset(SENTENCE_TO_INDEX, (1,), h5py.string_dtype())
                index += b"}"
                text[0] = bytes(index)

    def _read_offsets(self) -> NDArray[np.int64]:
        """Where in the file the vectors of each sentence are, (n,); -1 for none."""
        offsets = np.full(len(self.layout.scan.n_tokens), -1, np.int64)  # (n,)
        keys: Iterator[str] = map(str, range(len(offsets)))
        if self.layout.sentence_keys:
            keys = (sentence.text for sentence in self.layout.scan.sentences())
        with h5py.File(self.part, "r") as file:
            _limit_cache(file)
            for i, key in enumerate(keys):
                offset = h5py.h5d.open(file.id, key.encode()).get_offset()
                if offset is not None:
                    offsets[i] = offset
        return offsets


def _new_file(path: Path) -> h5py.File:
    """An empty file, as every HDF5 library since 1.8 reads it."""
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    # Names then are listed in the order in which they were made.
    creation.set_link_creation_order(
        h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED
    )
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    # Older groups keep all names in one block, which would be read again and again.
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)
    file = h5py.File(
        h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, creation, access)
    )
    _limit_cache(file)
    return file


def _limit_cache(file: h5py.File) -> None:
    """Keeps HDF5 from holding the headers of all datasets in memory."""
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = _CACHE_BYTES
    file.id.set_mdc_config(config)
