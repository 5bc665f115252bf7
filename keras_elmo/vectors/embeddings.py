"""The embeddings of a file, by index or by sentence."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import RefusedEmbeddingsError

Floats = NDArray[np.floating[Any]]

# What h5py, NumPy, pyarrow and JSON raise for files of another kind, and damaged ones.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Embeddings(Sequence[Floats]):
    """The arrays of a file, made by :func:`~keras_elmo.vectors.open_embeddings`.

    ``embeddings[i]`` is the array of sentence ``i``, ``embeddings["a sentence"]`` that of a
    sentence as it stands in the corpus, without white space around it; of equal ones, the
    last; ``embeddings[i:j]`` the arrays of several in a list. ``len(embeddings)`` is their
    number, and a loop goes over all. It is closed by ``close()``, or at the end of a
    ``with`` block. Other processes may use it: a pickle holds the path, and opens it again.

    Attributes:
        path: The file.

    Raises:
        IndexError: There is no such index.
        KeyError: There is no such sentence, or the file has none.
        TypeError: The key is neither an integer nor a string nor a slice.
        ValueError: The file holds something else than it should, or is closed.
    """

    def __init__(self, path: Path) -> None:
        # What stands beside it is found later, too, when the directory may be another.
        self.path = path.absolute()
        self._is_closed = False

    @cached_property
    def sentences(self) -> list[str] | None:
        """The sentences in their order; ``None`` if the file was told to forget them.

        AllenNLP's HDF5 tells the last of equal sentences only: the others are ``""``.
        """
        with self._damage():
            return self._sentences()

    def close(self) -> None:
        """Closes the file."""
        self._is_closed = True
        self._release()

    @abstractmethod
    def _release(self) -> None:
        """Closes what is open."""

    @abstractmethod
    def _array(self, index: int) -> Floats:
        """The array of a sentence."""

    @abstractmethod
    def _sentences(self) -> list[str] | None:
        """The sentences in their order, if the file has them."""

    def _check_open(self) -> None:
        if self._is_closed:
            raise ValueError(f"{str(self.path)!r} is closed: open it again.")

    def _read(self, index: int) -> Floats:
        with self._damage():
            return self._array(index)

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
        """The array of a sentence, by its index or its text; or those of a slice."""
        self._check_open()
        if isinstance(key, str):
            return self._read(self._index(key))
        if isinstance(key, slice):
            return [self._read(i) for i in range(*key.indices(len(self)))]
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)):
            raise TypeError(
                f"the key must be an integer, a slice or a sentence; got {key!r:.100}."
            )
        if not -len(self) <= key < len(self):
            raise IndexError(
                f"index {key} is out of range: {str(self.path)!r} has {len(self)} "
                "sentences."
            )
        return self._read(int(key) % len(self))

    def __contains__(self, key: object) -> bool:
        """Whether there is such a sentence."""
        self._check_open()
        return isinstance(key, str) and key in (self._indices or {})

    def __iter__(self) -> Iterator[Floats]:
        return (self._read(i) for i in range(len(self)))

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self)} sentences"
        return f"<Embeddings {str(self.path)!r}, {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        self._check_open()
        return type(self), (self.path,)

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
