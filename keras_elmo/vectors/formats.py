"""The formats of embeddings by suffix."""

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
        path: A file that :func:`~keras_elmo.compute_features` or ``keras-elmo embed``
            wrote, or an HDF5 file of AllenNLP's command ``elmo``.

    Raises:
        FileNotFoundError: The file does not exist, or is not complete.
        ValueError: The file is damaged, or not a file of embeddings.
        ImportError: Parquet needs pyarrow, which is not installed.
    """
    file = Path(path)
    if not file.is_file():
        started = " It is not complete: run the job again to resume it."
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
            f"path: {str(file)!r} is damaged or not a file of embeddings ({error!s:.300})."
        ) from error
