"""Names of a model's files, and comparisons of arrays with what a model must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import DamagedSourceError

OPTIONS_NAME = "options.json"
WEIGHTS_NAME = "weights.hdf5"
SOFTMAX_FILE_SUFFIX = "softmax_weights.hdf5"  # AllenNLP's, next to the biLM's weights

CHAR_EMBEDDING = "char_embed"
SOFTMAX_PREFIX = "softmax/"
WORD_EMBEDDING = "embedding"

_MOST_LINES = 100  # of a list of differences


def matching_options_name(weights_name: str) -> str:
    """``x_weights.hdf5`` -> ``x_options.json``; for other names, ``options.json``."""
    stem = weights_name.rsplit(".", 1)[0]
    if stem.endswith("weights"):
        return stem.removesuffix("weights") + OPTIONS_NAME
    return OPTIONS_NAME


def matching_softmax_name(weights_name: str) -> str:
    """``x_weights.hdf5`` -> ``x_softmax_weights.hdf5``, as AllenNLP names it."""
    return weights_name.removesuffix(WEIGHTS_NAME) + SOFTMAX_FILE_SUFFIX


def lstm_prefix(direction: int, layer: int) -> str:
    """The prefix of the names of one LSTM's arrays."""
    return f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


def differences(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """A line for each missing, unexpected and misshapen array, sorted by name."""
    missing, unexpected = expected.keys() - found.keys(), found.keys() - expected.keys()
    return [
        *(f"- missing: {name}, shape {expected[name]}" for name in sorted(missing)),
        *(f"- unexpected: {name:.100}, shape {found[name]}" for name in sorted(unexpected)),
        *(
            f"- misshapen: {name}, expected {expected[name]}, found {found[name]}"
            for name in sorted(expected.keys() & found.keys())
            if found[name] != expected[name]
        ),
    ]


def listed(problems: Sequence[str]) -> str:
    """The first lines of :func:`differences` as a text."""
    more = len(problems) - _MOST_LINES
    rest = [f"- and {more:,} more"] if more > 0 else []
    return "\n".join([*problems[:_MOST_LINES], *rest])


def check_finite(arrays: Mapping[str, NDArray[np.float32]], source: str) -> None:
    """Raises DamagedSourceError if an array from ``source`` has a NaN or an infinity."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DamagedSourceError(
                f"In {source!r}, {name!r} holds numbers that are not finite: the file is "
                "damaged. Download or copy it again."
            )
