"""Names and shapes of the arrays of a biLM: the contract between files and layers.

The names are those of bilm-tf's and AllenNLP's HDF5 files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_elmo.errors import DamagedSourceError
from keras_elmo.text.characters import N_CHARACTERS

if TYPE_CHECKING:
    from keras_elmo.config import ElmoConfig

OPTIONS_NAME = "options.json"
WEIGHTS_NAME = "weights.hdf5"

CHAR_EMBEDDING = "char_embed"

MIX_WEIGHTS = "aggregation/weights"
MIX_GAMMA = "aggregation/scaling"
"""The scalar mix, where a source has one: HDF5 files do not, TF1 Hub modules do."""

_MOST_LINES = 100  # of a list of differences

DIRECTIONS = ("forward", "backward")
"""The directions in the order of the files, where they are RNN_0 and RNN_1."""


def matching_options_name(weights_name: str) -> str:
    """``x_weights.hdf5`` -> ``x_options.json``; for other names, ``options.json``."""
    stem = weights_name.rsplit(".", 1)[0]
    if stem.endswith("weights"):
        return stem.removesuffix("weights") + OPTIONS_NAME
    return OPTIONS_NAME


def token_encoder_shapes(config: ElmoConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the token encoder's arrays, in the order data flows."""
    shapes: dict[str, tuple[int, ...]] = {CHAR_EMBEDDING: (N_CHARACTERS, config.char_dim)}
    for i, (width, count) in enumerate(config.filters):
        shapes[f"CNN/W_cnn_{i}"] = (1, width, config.char_dim, count)
        shapes[f"CNN/b_cnn_{i}"] = (count,)
    n_filters = config.n_filters
    for i in range(config.n_highway):
        for gate in ("carry", "transform"):
            shapes[f"CNN_high_{i}/W_{gate}"] = (n_filters, n_filters)
            shapes[f"CNN_high_{i}/b_{gate}"] = (n_filters,)
    if config.has_token_projection:
        shapes["CNN_proj/W_proj"] = (n_filters, config.projection_dim)
        shapes["CNN_proj/b_proj"] = (config.projection_dim,)
    return shapes


def lstm_prefix(direction: int, layer: int) -> str:
    """The common start of the names of one LSTM's arrays."""
    return f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


def lstm_shapes(config: ElmoConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the LSTMs' arrays, direction by direction."""
    shapes: dict[str, tuple[int, ...]] = {}
    for direction in range(len(DIRECTIONS)):
        for layer in range(config.n_layers):
            prefix = lstm_prefix(direction, layer)
            # Input and hidden state are both projection_dim wide.
            shapes[f"{prefix}/W_0"] = (2 * config.projection_dim, 4 * config.dim)
            shapes[f"{prefix}/B"] = (4 * config.dim,)
            if config.has_lstm_projection:
                shapes[f"{prefix}/W_P_0"] = (config.dim, config.projection_dim)
    return shapes


def array_shapes(config: ElmoConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all arrays of a model, in the order data flows.

    Args:
        config: The model's configuration.

    Returns:
        The shape of each array by its name.
    """
    return {**token_encoder_shapes(config), **lstm_shapes(config)}


def differences(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """A line for every missing, unexpected and misshapen array, each sorted by name."""
    return [
        *(
            f"- missing: {name}, shape {expected[name]}"
            for name in sorted(expected.keys() - found.keys())
        ),
        *(
            f"- unexpected: {name:.100}, shape {tuple(found[name])}"
            for name in sorted(found.keys() - expected.keys())
        ),
        *(
            f"- misshapen: {name}, expected {expected[name]}, found {tuple(found[name])}"
            for name in sorted(expected.keys() & found.keys())
            if tuple(found[name]) != expected[name]
        ),
    ]


def listed(problems: Sequence[str]) -> str:
    """The lines of :func:`differences` as a text, not more of them than one reads."""
    more = len(problems) - _MOST_LINES
    rest = [f"- and {more:,} more"] if more > 0 else []
    return "\n".join([*problems[:_MOST_LINES], *rest])


def check_finite(arrays: Mapping[str, NDArray[np.float32]], source: str) -> None:
    """Raises DamagedSourceError if an array from ``source`` has a NaN or an infinity."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DamagedSourceError(
                f"In {source!r}, {name!r} holds numbers that are not finite. No trained "
                "model has these: the file is damaged. Download or copy it again."
            )
