"""Embeddings from a file, by index or by sentence, read as they are asked for."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from keras_elmo.corpus import parquet_file
from keras_elmo.corpus.hdf5_file import FINGERPRINT, SENTENCE_TO_INDEX
from keras_elmo.hdf5_safety import dataset_problem
from keras_elmo.row_file import offsets_path, sentences_path
from keras_elmo.types import PathLike

Floats = NDArray[np.floating[Any]]


class Embeddings(Sequence[Floats]):
    """The arrays of a file of embeddings; made by :func:`~keras_elmo.open_embeddings`.

    ``embeddings[i]`` is the array of sentence ``i``, ``embeddings["a sentence"]`` that of a
    sentence as it stands in the corpus, without white space around it; of equal ones, the
    last. ``len(embeddings)`` is their number, and a loop goes over all. It is closed by
    ``close()``, or at the end of a ``with`` block.

    Attributes:
        path: The file.

    Raises:
        IndexError: There is no such index.
        KeyError: There is no such sentence, or the file has none.
        TypeError: The key is neither an integer nor a string.
        ValueError: The file holds something else than it should.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def sentences(self) -> list[str] | None:
        """The sentences in their order; ``None`` if the file was told to forget them.

        AllenNLP's HDF5 tells the last of equal sentences only: the others are ``""``.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the file."""

    @abstractmethod
    def _array(self, index: int) -> Floats:
        """The array of a sentence."""

    def __getitem__(self, key: Any) -> Any:
        """The array of a sentence, by its index or its text."""
        if isinstance(key, str):
            return self._array(self._index(key))
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
            raise TypeError(f"the key must be an integer or a sentence; got {key!r:.100}.")
        if not -len(self) <= key < len(self):
            raise IndexError(
                f"index {key} is out of range: {str(self.path)!r} has {len(self)} "
                "sentences."
            )
        return self._array(int(key) % len(self))

    def __contains__(self, key: object) -> bool:
        """Whether there is such a sentence."""
        return isinstance(key, str) and key in (self._indices or {})

    def __iter__(self) -> Iterator[Floats]:
        return (self._array(i) for i in range(len(self)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @cached_property
    def _indices(self) -> dict[str, int] | None:
        if self.sentences is None:
            return None
        return {sentence: i for i, sentence in enumerate(self.sentences)}

    def _index(self, sentence: str) -> int:
        if self._indices is None:
            raise KeyError(
                f"{str(self.path)!r} does not hold its sentences; ask for an index."
            )
        if sentence not in self._indices:
            raise KeyError(f"{str(self.path)!r} has no sentence {sentence!r:.200}.")
        return self._indices[sentence]


def open_embeddings(path: PathLike) -> Embeddings:
    """Opens a file of embeddings.

    Args:
        path: What :func:`~keras_elmo.embed_corpus` or ``keras-elmo embed`` has written, or
            an HDF5 file of AllenNLP's command ``elmo``.

    Returns:
        Its arrays.

    Raises:
        FileNotFoundError: There is no such file, or not all of it.
        ValueError: It is something else, or damaged.
        ImportError: Parquet needs pyarrow, which is not installed.
    """
    file = Path(path)
    if not file.is_file():
        part = file.with_name(f"{file.name}.part")
        begun = " It is not complete: go on with what it was begun by." * part.exists()
        raise FileNotFoundError(f"path: there is no file {str(file)!r}.{begun}")
    kinds = {".npy": _NumpyReader, ".parquet": _ParquetReader}
    try:
        return kinds.get(file.suffix.lower(), _Hdf5Reader)(file)
    except ImportError:
        raise
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(
            f"path: {str(file)!r} is no file of embeddings, or damaged ({error})."
        ) from error


class _Hdf5Reader(Embeddings):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = h5py.File(path, "r")
        self._keys: list[str] | None = None
        if self._has_sentence_keys():
            # In the order of the corpus; in AllenNLP's files, which do not tell it, in that
            # of the alphabet.
            self._keys = list(self._file)
        has_index = self._keys is None and SENTENCE_TO_INDEX in self._file
        self._length = len(self._file) - has_index

    def _has_sentence_keys(self) -> bool:
        if FINGERPRINT in self._file.attrs:
            ours = json.loads(self._file.attrs[FINGERPRINT])
            return bool(ours["sentence_keys"])
        return not (SENTENCE_TO_INDEX in self._file or "0" in self._file)

    def __len__(self) -> int:
        return self._length

    @cached_property
    def sentences(self) -> list[str] | None:
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
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{str(self.path)!r}: {SENTENCE_TO_INDEX!r} is damaged ({error})."
            ) from error

    def close(self) -> None:
        self._file.close()

    def _array(self, index: int) -> Floats:
        name = str(index) if self._keys is None else self._keys[index]
        dataset = self._dataset(name)
        problem = dataset_problem(dataset)
        if problem is not None:
            raise ValueError(f"Refusing to read {str(self.path)!r}: {name!r} {problem}.")
        array: Floats = dataset[()]
        return array

    def _dataset(self, name: str) -> Any:
        # A link may point to another file on the reader's machine.
        link = self._file.get(name, getlink=True)
        dataset = self._file[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(
                f"Refusing to read {str(self.path)!r}: {name!r} is no array in the file."
            )
        return dataset

    def _read_indices(self) -> dict[str, int]:
        dataset = self._dataset(SENTENCE_TO_INDEX)
        if dataset.shape != (1,) or h5py.check_string_dtype(dataset.dtype) is None:
            raise ValueError("expected one string")
        found = json.loads(dataset[0])
        indices = {sentence: int(index) for sentence, index in found.items()}
        if not all(0 <= index < len(self) for index in indices.values()):
            raise ValueError("an index is out of range")
        return indices


class _NumpyReader(Embeddings):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if self._values.ndim < 2 or self._values.dtype.kind != "f":
            raise ValueError(f"an array {self._values.shape} of {self._values.dtype}")
        self._offsets: NDArray[np.int64] | None = None
        if offsets_path(path).is_file():
            self._offsets = np.load(offsets_path(path), allow_pickle=False)  # (n + 1,)
            ends = self._offsets[-1:].tolist()
            if self._offsets.ndim != 1 or ends != [len(self._values)]:
                raise ValueError("its offsets are of another file")
        self._length = len(self._values)
        if self._offsets is not None:
            self._length = len(self._offsets) - 1

    def __len__(self) -> int:
        return self._length

    @cached_property
    def sentences(self) -> list[str] | None:
        path = sentences_path(self.path)
        if not path.is_file():
            return None
        with path.open(encoding="utf-8") as file:
            sentences = [json.loads(line) for line in file]
        if len(sentences) != len(self):
            raise ValueError(f"{str(path)!r} is of another file.")
        return sentences

    def close(self) -> None:
        self._values = None

    def _array(self, index: int) -> Floats:
        array: Floats
        if self._offsets is None:
            array = self._values[index]  # ([n_layers + 1,] D)
            return array
        rows = slice(*self._offsets[index : index + 2])
        array = self._values[rows]  # (n_tokens, [n_layers + 1,] D)
        return np.swapaxes(array, 0, 1) if array.ndim == 3 else array


class _ParquetReader(Embeddings):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        import pyarrow

        try:
            self._file = parquet_file.load_pyarrow().ParquetFile(path, memory_map=True)
        except pyarrow.ArrowException as error:
            raise ValueError(error) from error
        metadata = self._file.schema_arrow.metadata or {}
        self._shape = json.loads(metadata[parquet_file.SHAPE])
        groups = range(self._file.num_row_groups)
        n_rows = [self._file.metadata.row_group(i).num_rows for i in groups]
        self._starts = np.cumsum([0, *n_rows])  # (groups + 1,)
        self._group: tuple[int, Floats] | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def sentences(self) -> list[str] | None:
        if "sentence" not in self._file.schema_arrow.names:
            return None
        result: list[str] = self._file.read(["sentence"])["sentence"].to_pylist()
        return result

    def close(self) -> None:
        self._file.close()

    def _array(self, index: int) -> Floats:
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        if self._group is None or self._group[0] != group:
            column = self._file.read_row_group(group, ["embedding"])["embedding"]
            values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
            self._group = group, values.reshape(-1, *self._shape)  # (rows, *shape)
        array: Floats = self._group[1][index - self._starts[group]]
        return array
