"""The kinds of files of embeddings, by the suffixes of their names."""

from __future__ import annotations

from pathlib import Path

from keras_elmo.types import PathLike
from keras_elmo.vectors.embeddings import DAMAGED, Embeddings
from keras_elmo.vectors.files import next_to
from keras_elmo.vectors.hdf5_format import HDF5
from keras_elmo.vectors.numpy_format import NUMPY
from keras_elmo.vectors.parquet_format import PARQUET

FORMATS = {".hdf5": HDF5, ".h5": HDF5, ".npy": NUMPY, ".parquet": PARQUET}


def open_embeddings(path: PathLike) -> Embeddings:
    """Opens a file of embeddings.

    Args:
        path: What :func:`~keras_elmo.compute_features` or ``keras-elmo embed`` has written,
            or an HDF5 file of AllenNLP's command ``elmo``.

    Returns:
        Its arrays.

    Raises:
        FileNotFoundError: There is no such file, or it is not complete.
        ValueError: It is something else, or damaged.
        ImportError: Parquet needs pyarrow, which is not installed.
    """
    file = Path(path)
    if not file.is_file():
        started = " It is not complete: run what started it again."
        raise FileNotFoundError(
            f"path: there is no file {str(file)!r}."
            f"{started * next_to(file, '.part').exists()}"
        )
    try:
        return FORMATS.get(file.suffix.lower(), HDF5).open(file)
    except (FileNotFoundError, ImportError):
        raise
    except DAMAGED as error:
        raise ValueError(
            f"path: {str(file)!r} is not a file of embeddings, or damaged ({error!s:.300})."
        ) from error
