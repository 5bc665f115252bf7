"""Embeddings from a file, read as they are asked for."""

from __future__ import annotations

from pathlib import Path

from keras_elmo.types import PathLike
from keras_elmo.vectors.embeddings import DAMAGED, Embeddings
from keras_elmo.vectors.hdf5_reader import Hdf5Reader
from keras_elmo.vectors.numpy_reader import NumpyReader
from keras_elmo.vectors.parquet_reader import ParquetReader

__all__ = ["Embeddings", "open_embeddings"]

_KINDS: dict[str, type[Hdf5Reader | NumpyReader | ParquetReader]] = {
    ".npy": NumpyReader,
    ".parquet": ParquetReader,
}


def open_embeddings(path: PathLike) -> Embeddings:
    """Opens a file of embeddings.

    Args:
        path: What :func:`~keras_elmo.vectors.embed_corpus` or ``keras-elmo embed`` has
            written, or an HDF5 file of AllenNLP's command ``elmo``.

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
    try:
        return _KINDS.get(file.suffix.lower(), Hdf5Reader)(file)
    except (FileNotFoundError, ImportError):
        raise
    except DAMAGED as error:
        raise ValueError(
            f"path: {str(file)!r} is no file of embeddings, or damaged ({error!s:.300})."
        ) from error
