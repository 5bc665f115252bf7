"""Reads ELMo weights from the checkpoint of a TF1 Hub module, without running its graph.

A module has no options. The sizes follow from the shapes; the other options (clips of 3,
relu, skip connections, 50 characters) have the values that were published for all modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS, ElmoConfig
from keras_elmo.errors import SourceError
from keras_elmo.hub.checkpoint_index import StoredVariable, read_index
from keras_elmo.hub.variables import (
    DAMAGED,
    LSTM_NAMES,
    check_variables,
    read_variables,
    reading,
)
from keras_elmo.weights.names import CHAR_EMBEDDING, lstm_prefix

# The parts of an LSTM, whose names differ from those in HDF5.
_LSTM_PART = re.compile(r"(.*/Cell\d+)/rnn/lstm_cell/(kernel|bias|projection/kernel)")
# Google's names, and those of modules from bilm-tf code.
_MIX_NAMES = {
    MIX_WEIGHTS: re.compile(r"(.*/)?(aggregation/weights|[^/]*ELMo_W)"),
    MIX_GAMMA: re.compile(r"(.*/)?(aggregation/scaling|[^/]*ELMo_gamma)"),
}
_BILM = re.compile(r"(?:.*/)?bilm/(.+)")
# LSTM states in modules from bilm-tf code.
_STATE = re.compile(r"(?:.*/)?Variable(_\d+)?")

_CHECKPOINT = Path("variables", "variables")
_LISTED = 12


def is_tf_hub_module(path: Path) -> bool:
    """Whether a directory holds a TF1 Hub module or another SavedModel."""
    return (path / "saved_model.pb").is_file()


def is_state(variable: str) -> bool:
    """Whether a variable keeps an LSTM's state from call to call."""
    return _STATE.fullmatch(variable) is not None


def read_tf_hub(
    path: Path, name: str | None = None
) -> tuple[ElmoConfig, dict[str, NDArray[np.float32]]]:
    """The configuration and arrays of a module, its mix included; messages use ``name``."""
    name = str(path) if name is None else name
    with reading(f"the TF-Hub module {name!r}"):
        variables = read_index(path / _CHECKPOINT)
        names = _names(variables)
        config = _config(variables, names, name)
        _check(variables, names, config, name)
        return config, _read(path, names)


def read_mix(path: Path) -> dict[str, NDArray[np.float32]]:
    """A module's mix, weights (3,) and scale (), by name; empty if it has none."""
    import tensorflow as tf

    try:
        names = _names(read_index(path / _CHECKPOINT))
        mix = _read(path, {name: names[name] for name in (MIX_WEIGHTS, MIX_GAMMA)})
    except (tf.errors.OpError, *DAMAGED):
        return {}  # the mix then starts with equal weights, as in any layer
    return mix if mix[MIX_WEIGHTS].shape == (3,) else {}


def _read(path: Path, names: Mapping[str, str]) -> dict[str, NDArray[np.float32]]:
    arrays = read_variables(path / _CHECKPOINT, names, str(path))
    if MIX_GAMMA in arrays:  # (1,) in some modules
        arrays[MIX_GAMMA] = arrays[MIX_GAMMA].reshape(())
    return arrays


def _names(variables: Iterable[str]) -> dict[str, str]:
    """The variable of each array, by the array's name."""
    names: dict[str, str] = {}
    for variable in sorted(variables):
        mix = [name for name, pattern in _MIX_NAMES.items() if pattern.fullmatch(variable)]
        inner = _BILM.fullmatch(variable)
        if mix:
            names.setdefault(mix[0], variable)
        elif inner and not is_state(variable):
            part = _LSTM_PART.fullmatch(inner[1])
            name = f"{part[1]}/LSTMCell/{LSTM_NAMES[part[2]]}" if part else inner[1]
            names.setdefault(name, variable)
    return names


def _config(
    variables: Mapping[str, StoredVariable], names: Mapping[str, str], source: str
) -> ElmoConfig:
    """The configuration that follows from the shapes."""
    shapes = {name: variables[variable].shape for name, variable in names.items()}
    try:
        filters: list[tuple[int, int]] = []
        while f"CNN/W_cnn_{len(filters)}" in shapes:
            _, width, _, count = shapes[f"CNN/W_cnn_{len(filters)}"]
            filters.append((width, count))
        n_highway = sum(f"CNN_high_{i}/W_carry" in shapes for i in range(len(shapes)))
        n_layers = sum(f"{lstm_prefix(0, k)}/W_0" in shapes for k in range(len(shapes)))
        dim = shapes[f"{lstm_prefix(0, 0)}/W_0"][1] // 4
        projection = shapes.get(f"{lstm_prefix(0, 0)}/W_P_0", (dim, dim))
        return ElmoConfig(
            char_dim=shapes[CHAR_EMBEDDING][1],
            filters=tuple(filters),
            n_highway=n_highway,
            n_layers=n_layers,
            dim=dim,
            projection_dim=projection[1],
        )
    except (KeyError, IndexError, ValueError) as error:
        found = sorted(f"{name:.100} {shape}" for name, (_, shape) in variables.items())
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        raise SourceError(
            f"The TF-Hub module {source!r} is not an ELMo model ({error}). Its "
            f"variables: {', '.join(found[:_LISTED]) or 'none'}{more}. Expected "
            "bilm/char_embed, bilm/CNN/W_cnn_0, "
            "bilm/RNN_0/RNN/MultiRNNCell/Cell0/rnn/lstm_cell/kernel and so on. If it still "
            "has ELMo's outputs, use engine='hub', which runs its own graph."
        ) from error


def _check(
    variables: Mapping[str, StoredVariable],
    names: Mapping[str, str],
    config: ElmoConfig,
    source: str,
) -> None:
    expected = config.array_shapes()
    # The mix may be missing, as long as it is not misshapen; gamma is () or (1,).
    for name, shape in ((MIX_WEIGHTS, (config.n_layers + 1,)), (MIX_GAMMA, ())):
        if name in names:
            found = variables[names[name]].shape
            expected[name] = (1,) if (name, found) == (MIX_GAMMA, (1,)) else shape
    advice = "If it still has ELMo's outputs, use engine='hub', which runs its graph."
    check_variables(variables, names, expected, f"the TF-Hub module {source!r}", advice)
