"""The embeddings of a file, by index or by sentence; the files are of several kinds."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import RefusedEmbeddingsError

Floats = NDArray[np.floating[Any]]

# What h5py, NumPy, pyarrow and JSON raise for files of another kind, and damaged ones.
DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError),
    *(OSError, RuntimeError, TypeError, ValueError),
)


class Embeddings(Sequence[Floats]):
    """The arrays of a file that :func:`~keras_elmo.vectors.open_embeddings` opened.

    ``embeddings[i]`` is the array of sentence ``i``: (tokens, n_layers + 1, D), without the
    second axis for one layer or a mix, and without the first if pooled. It is read when you
    ask for it. ``embeddings["a sentence"]`` is that of a sentence as it stands in the
    corpus, without white space around it (of equal ones the last), and ``embeddings[i:j]``
    a list of several.

    Pooled embeddings also work as one array (n, ...), in ``np.asarray`` and ``fit``. For
    those of tokens :func:`~keras_elmo.training.feature_dataset` makes padded batches.

    Close them with ``close()``, or use a ``with`` block. A pickle holds the path, and opens
    the file again.

    Attributes:
        path: The file.

    Raises:
        IndexError: There is no such index.
        KeyError: There is no such sentence, or the file has none.
        TypeError: The key is neither an integer nor a string nor a slice; or the vectors of
            tokens are used as one array.
        ValueError: The file is damaged, or closed.
    """

    def __init__(self, path: Path) -> None:
        # Files next to it are found later, too, when the directory may be another.
        self.path = path.absolute()
        self._is_closed = False

    @cached_property
    def sentences(self) -> list[str] | None:
        """The sentences in their order; ``None`` if the file does not hold them.

        AllenNLP's HDF5 holds the last of equal sentences only: the others are ``""``.
        """
        with self._damage():
            return self._sentences()

    @cached_property
    def lengths(self) -> NDArray[np.int64] | None:
        """The number of tokens of each sentence, (n,); ``None`` if pooled."""
        with self._damage():
            return self._lengths()

    @property
    def values(self) -> Floats:
        """All vectors in one array: (n, ...) if pooled, else the tokens of all sentences.

        Of a NumPy file it is memory-mapped; of others it is read into memory.
        """
        with self._damage():
            return self._values()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the arrays."""
        return self[0].dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of pooled embeddings as one array, (n, ...)."""
        if self.lengths is not None:
            raise AttributeError("the arrays have lengths, and no shape in common")
        return (len(self), *self[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self.lengths is not None:
            raise TypeError(
                f"{str(self.path)!r} has vectors of tokens, of which each sentence has "
                "another number: use its values and lengths, or feature_dataset."
            )
        return np.array(self.values, dtype, copy=copy)

    def close(self) -> None:
        """Closes the file."""
        self._is_closed = True
        self._release()

    @abstractmethod
    def _release(self) -> None: ...

    @abstractmethod
    def _array(self, index: int) -> Floats: ...

    @abstractmethod
    def _sentences(self) -> list[str] | None: ...

    def _lengths(self) -> NDArray[np.int64] | None:
        return None

    def _values(self) -> Floats:
        return (np.stack if self.lengths is None else np.concatenate)(list(self))

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError(f"{str(self.path)!r} is closed: open it again.")

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Makes one kind of error of all that damage ends in."""
        self._check_open()
        try:
            yield
        except RefusedEmbeddingsError:
            raise
        except DAMAGED as error:
            raise RefusedEmbeddingsError(
                f"{str(self.path)!r} is damaged ({error!s:.300})."
            ) from error

    def __getitem__(self, key: Any) -> Any:
        self._check_open()
        if isinstance(key, str):
            return self[self._index(key)]
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        if isinstance(key, bool) or not isinstance(key, SupportsIndex):
            raise TypeError(
                f"the key must be an integer, a slice or a sentence; got {key!r:.100}."
            )
        index = operator.index(key)
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"index {index} is out of range: {str(self.path)!r} has {len(self)} "
                "sentences."
            )
        with self._damage():
            return self._array(index % len(self))

    def __contains__(self, key: object) -> bool:
        self._check_open()
        return isinstance(key, str) and key in (self._indices or ())

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self)} sentences"
        return f"<Embeddings {str(self.path)!r}, {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        self._check_open()
        return type(self), (self.path,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _indices(self) -> dict[str, int] | None:
        with self._damage():
            return self._find_indices()

    def _find_indices(self) -> dict[str, int] | None:
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
