"""Variables of a checkpoint as arrays: read by TensorFlow once its index is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import Shapes
from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.hub.checkpoint_index import StoredVariable
from keras_elmo.text.characters import N_CHARACTERS
from keras_elmo.weights.names import CHAR_EMBEDDING, check_finite, differences, listed

DAMAGED = (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What TensorFlow raises for damaged files, besides its own errors."""

LSTM_NAMES = {"kernel": "W_0", "bias": "B", "projection/kernel": "W_P_0"}
"""The parts of an LSTM: a variable's name, and the array's."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Reports errors of the block as those of ``what``, "the TF-Hub module 'x'"."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise SourceError(
            f"Reading {what} needs TensorFlow, which is not installed: pip install "
            "tensorflow. Or convert it to HDF5 on a machine that has it, with keras-elmo "
            "convert SOURCE OUT, and use the result."
        ) from error
    try:
        yield
    except SourceError:
        raise
    except (tf.errors.OpError, *DAMAGED) as error:
        raise DamagedSourceError(
            f"Cannot read the variables of {what} "
            f"({str(error).partition(chr(10))[0]:.200}). Its files are missing, cut or "
            "damaged: download or copy it again."
        ) from error


def check_variables(
    variables: Mapping[str, StoredVariable],
    names: Mapping[str, str],
    expected: Shapes,
    what: str,
    advice: str,
) -> None:
    """Compares the variables that hold arrays with the shapes asked for, and the dtypes."""
    found = {name: variables[variable].shape for name, variable in names.items()}
    rows, *columns = expected.get(CHAR_EMBEDDING, (0,))
    if found.get(CHAR_EMBEDDING) == (rows + 1, *columns):
        found[CHAR_EMBEDDING] = expected[CHAR_EMBEDDING]
    if problems := differences(found, expected):
        raise SourceError(
            f"The variables of {what} do not fit together:\n{listed(problems)}\n{advice}"
        )
    for name, variable in names.items():
        if "float" not in variables[variable].dtype:
            raise SourceError(
                f"In {what}, {name} has dtype {variables[variable].dtype}; expected "
                "floating point."
            )


def read_variables(
    prefix: Path, names: Mapping[str, str], source: str
) -> dict[str, NDArray[np.float32]]:
    """Reads arrays from the variables that hold them."""
    import tensorflow as tf

    # get_tensor compares each tensor with its checksum.
    reader = tf.train.load_checkpoint(str(prefix))
    arrays = {
        name: np.asarray(reader.get_tensor(variable), np.float32, order="C")
        for name, variable in names.items()
    }
    if len(arrays.get(CHAR_EMBEDDING, ())) == N_CHARACTERS + 1:
        arrays[CHAR_EMBEDDING] = arrays[CHAR_EMBEDDING][1:]  # id 0, of no character
    check_finite(arrays, source)
    return arrays
