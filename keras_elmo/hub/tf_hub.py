"""ELMo weights in TF1 Hub modules, read from their checkpoint without running the graph.

A module has no options: the sizes follow from the shapes, and what shapes do not tell
(clips of 3, relu, skip connections, 50 characters) is as published for all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.hub.checkpoint_index import check_index
from keras_elmo.text.characters import N_CHARACTERS
from keras_elmo.weights.names import (
    CHAR_EMBEDDING,
    MIX_GAMMA,
    MIX_WEIGHTS,
    array_shapes,
    check_finite,
    differences,
    listed,
    lstm_prefix,
)

# Where a module differs from HDF5: the parts of an LSTM.
_LSTM_PART = re.compile(r"(.*/Cell\d+)/rnn/lstm_cell/(kernel|bias|projection/kernel)")
_LSTM_NAMES = {"kernel": "W_0", "bias": "B", "projection/kernel": "W_P_0"}
# Google's names, and those of modules that were made by bilm-tf code.
_MIX_NAMES = {
    MIX_WEIGHTS: re.compile(r"(.*/)?(aggregation/weights|[^/]*ELMo_W)"),
    MIX_GAMMA: re.compile(r"(.*/)?(aggregation/scaling|[^/]*ELMo_gamma)"),
}
_BILM = re.compile(r"(?:.*/)?bilm/(.+)")
# LSTM states from call to call, in modules by bilm-tf code.
_STATE = re.compile(r"(?:.*/)?Variable(_\d+)?")

# Of the mix of three layers; gamma is (1,) in some modules.
_MIX_SHAPES: dict[str, tuple[int, ...]] = {MIX_WEIGHTS: (3,), MIX_GAMMA: ()}

_LISTED = 12

# What TensorFlow raises for damaged files, besides its own errors.
_BUILT_IN_ERRORS = (LookupError, OSError, RuntimeError, TypeError, ValueError)


def is_tf_hub_module(path: Path) -> bool:
    """Whether a directory holds a TF1 Hub module or another SavedModel."""
    return (path / "saved_model.pb").is_file()


def read_tf_hub(
    path: Path, name: str | None = None
) -> tuple[ElmoConfig, dict[str, NDArray[np.float32]]]:
    """Reads the weights of a TF1 Hub module of ELMo.

    Args:
        path: The module's directory.
        name: What to call it in messages; its path by default.

    Returns:
        The configuration, and the float32 arrays under the names of
        :mod:`keras_elmo.weights.names`, those of the scalar mix included.

    Raises:
        SourceError: It is not an ELMo module, or damaged; or TensorFlow is not installed.
    """
    name = str(path) if name is None else name
    tf = import_tensorflow(name)
    try:
        reader = open_checkpoint(path)
        variables = {
            variable: tuple(shape)
            for variable, shape in reader.get_variable_to_shape_map().items()
        }
        names = _names(variables)
        config = _config(variables, names, name)
        _check(variables, names, config, name)
        _check_dtypes(reader.get_variable_to_dtype_map(), names, name)
        _check_stored_bytes(path, variables, names, name)
        # get_tensor compares each tensor with its checksum.
        arrays = {key: reader.get_tensor(variable) for key, variable in names.items()}
    except SourceError:
        raise
    # TensorFlow reports damage in its own errors and in built-in ones.
    except (tf.errors.OpError, *_BUILT_IN_ERRORS) as error:
        raise DamagedSourceError(
            f"Cannot read the variables of the TF-Hub module {name!r} "
            f"({str(error).partition(chr(10))[0]:.200}). Its files are missing, cut or "
            "damaged: download or copy it again."
        ) from error
    arrays = {key: _as_stored(key, array) for key, array in arrays.items()}
    check_finite(arrays, name)
    return config, arrays


def open_checkpoint(path: Path) -> Any:
    """Opens the variables of a module, unless their index could mislead TensorFlow.

    Args:
        path: The module's directory.

    Returns:
        TensorFlow's reader.

    Raises:
        OSError: There is no checkpoint.
        ValueError: Its index is damaged, or was made to do harm.
        RuntimeError: It cannot be read; TensorFlow's own errors may come too.
    """
    import tensorflow as tf

    prefix = path / "variables" / "variables"
    check_index(prefix)
    return tf.train.load_checkpoint(str(prefix))


def read_mix(path: Path) -> dict[str, NDArray[np.float32]]:
    """Reads the scalar mix of a module, if it has one that can be read.

    Args:
        path: The module's directory.

    Returns:
        The weights (3,) and the scale (), as far as there are any, by name.
    """
    import tensorflow as tf

    try:
        reader = open_checkpoint(path)
        names = _names(reader.get_variable_to_shape_map())
        mix = {name: reader.get_tensor(names[name]) for name in (MIX_WEIGHTS, MIX_GAMMA)}
        return {name: np.reshape(mix[name], s) for name, s in _MIX_SHAPES.items()}
    except (tf.errors.OpError, *_BUILT_IN_ERRORS):
        return {}  # the mix then starts evenly, as that of any layer


def import_tensorflow(name: str) -> Any:
    """TensorFlow, or an error about the module ``name`` where it is not installed."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise SourceError(
            f"source {name!r}: TF1 Hub modules are read with TensorFlow, which is not "
            "installed here: pip install tensorflow. Or write the module as HDF5 where it "
            "is installed, by keras-elmo convert SOURCE OUT, and use that as source."
        ) from error
    return tf


def _names(variables: Mapping[str, Any]) -> dict[str, str]:
    """The variable that holds each array, by the array's name."""
    names: dict[str, str] = {}
    for variable in sorted(variables):
        if name := _array_name(variable):
            names.setdefault(name, variable)
    return names


def _array_name(variable: str) -> str | None:
    """The name of the array that a variable holds, if it holds any."""
    for name, pattern in _MIX_NAMES.items():
        if pattern.fullmatch(variable):
            return name
    inner = _BILM.fullmatch(variable)
    if inner is None or _STATE.fullmatch(variable):
        return None
    if part := _LSTM_PART.fullmatch(inner[1]):
        return f"{part[1]}/LSTMCell/{_LSTM_NAMES[part[2]]}"
    return inner[1]


def _config(
    variables: Mapping[str, tuple[int, ...]], names: Mapping[str, str], source: str
) -> ElmoConfig:
    """The configuration that the shapes tell."""
    shapes = {name: variables[variable] for name, variable in names.items()}
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
        found = sorted(f"{name:.100} {shape}" for name, shape in variables.items())
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        raise SourceError(
            f"The TF-Hub module {source!r} is not an ELMo model ({error}). Its "
            f"variables: {', '.join(found[:_LISTED]) or 'none'}{more}. Expected "
            "bilm/char_embed, bilm/CNN/W_cnn_0, "
            "bilm/RNN_0/RNN/MultiRNNCell/Cell0/rnn/lstm_cell/kernel and so on. If it has "
            "ELMo's outputs all the same, engine='hub' runs its own graph."
        ) from error


def _check(
    variables: Mapping[str, tuple[int, ...]],
    names: Mapping[str, str],
    config: ElmoConfig,
    source: str,
) -> None:
    """Compares all shapes with those that the configuration asks for."""
    expected = array_shapes(config)
    found = {name: variables[variable] for name, variable in names.items()}
    if found.get(CHAR_EMBEDDING) == (N_CHARACTERS + 1, config.char_dim):
        found[CHAR_EMBEDDING] = expected[CHAR_EMBEDDING]
    # The mix may be missing, as long as it is not misshapen; gamma is () or (1,).
    for name, shape in ((MIX_WEIGHTS, (config.n_layers + 1,)), (MIX_GAMMA, ())):
        if name in found:
            expected[name] = (1,) if (name, found[name]) == (MIX_GAMMA, (1,)) else shape
    problems = differences(found, expected)
    if problems:
        raise SourceError(
            f"The variables of the TF-Hub module {source!r} do not fit together:\n"
            + listed(problems)
            + "\nIf it has ELMo's outputs all the same, engine='hub' runs its own graph."
        )


def _check_dtypes(dtypes: Mapping[str, Any], names: Mapping[str, str], source: str) -> None:
    for name, variable in names.items():
        if not dtypes[variable].is_floating:
            raise SourceError(
                f"In the TF-Hub module {source!r}, {name} has dtype "
                f"{dtypes[variable].name}; expected floating point."
            )


def _check_stored_bytes(
    path: Path,
    variables: Mapping[str, tuple[int, ...]],
    names: Mapping[str, str],
    source: str,
) -> None:
    """Refuses shapes that the files cannot hold, before they are allocated."""
    stored = sum(
        file.stat().st_size for file in (path / "variables").glob("variables.data-*")
    )
    # 2 bytes for each number: float16 is the smallest type there is.
    declared = 2 * sum(math.prod(variables[variable]) for variable in names.values())
    if declared > stored:
        raise DamagedSourceError(
            f"The TF-Hub module {source!r} declares at least {declared:,} bytes of weights "
            f"and stores {stored:,}: it is cut or damaged. Download or copy it again."
        )


def _as_stored(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """An array in the form that the other readers give it."""
    if name == CHAR_EMBEDDING and len(array) == N_CHARACTERS + 1:
        array = array[1:]  # the row of id 0, which no character uses
    if name == MIX_GAMMA:
        array = array.reshape(())
    return np.asarray(array, np.float32, order="C")
