"""The embeddings of a file by index or sentence, for all formats."""

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

# Errors of h5py, NumPy, pyarrow and JSON for damaged files and other formats.
DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError),
    *(OSError, RuntimeError, TypeError, ValueError),
)


class Embeddings(Sequence[Floats]):
    """The arrays of a file that :func:`~keras_elmo.vectors.open_embeddings` opened.

    ``embeddings[i]`` is the array of sentence ``i``, read from the file: (tokens,
    n_layers + 1, D), without the second axis for one layer or a mix, and without the first
    if pooled. ``embeddings["a sentence"]`` is the array of a sentence of the corpus,
    without surrounding white space (the last one if several are equal), and
    ``embeddings[i:j]`` is a list.

    Pooled embeddings also work as one array (n, ...), in ``np.asarray`` and ``fit``. For
    token vectors, :func:`~keras_elmo.training.feature_dataset` creates padded batches.

    Close the file with ``close()``, or use a ``with`` block. A pickle holds only the path,
    and opens the file again.

    Attributes:
        path: The file.

    Raises:
        IndexError: The index is out of range.
        KeyError: The file does not contain the sentence, or any sentences.
        TypeError: The key is not an integer, a string or a slice; or token vectors are used
            as one array.
        ValueError: The file is damaged or closed.
    """

    def __init__(self, path: Path) -> None:
        # Files next to it are opened later, when the working directory may have changed.
        self.path = path.absolute()
        self._is_closed = False

    @cached_property
    def sentences(self) -> list[str] | None:
        """The sentences in order; ``None`` if the file does not hold them.

        AllenNLP's HDF5 holds only the last of equal sentences: the others are ``""``.
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
        """All vectors in one array: a row for each sentence if pooled, or for each token.

        Memory-mapped from NumPy files, read into memory from others.
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
            raise AttributeError("the arrays have different lengths and no common shape")
        return (len(self), *self[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if self.lengths is not None:
            raise TypeError(
                f"{str(self.path)!r} has token vectors, whose number differs between "
                "sentences: use its values and lengths, or feature_dataset."
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
        """Turns all errors from damage into one."""
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
                f"index {index} is out of range: the length of {str(self.path)!r} is "
                f"{len(self):,}."
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
                f"{str(self.path)!r} does not contain its sentences. Use an index."
            )
        if sentence not in self._indices:
            raise KeyError(f"{str(self.path)!r} has no sentence {sentence!r:.200}.")
        return self._indices[sentence]
