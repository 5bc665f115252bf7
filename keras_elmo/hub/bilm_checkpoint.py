"""Language models in the checkpoints that bilm-tf writes while it trains."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.errors import SourceError
from keras_elmo.hub.checkpoint_index import read_index
from keras_elmo.hub.variables import LSTM_NAMES, check_variables, read_variables, reading
from keras_elmo.weights.names import OPTIONS_NAME, WORD_EMBEDDING, lstm_prefix
from keras_elmo.weights.sources import read_options

_SCOPE = "lm/"
# With one layer there is no multi_rnn_cell.
_LSTM = re.compile(
    r"RNN_([01])/rnn/(?:multi_rnn_cell/cell_(\d+)/)?lstm_cell/"
    r"(kernel|bias|projection/kernel)"
)
_SOFTMAX = {"softmax/W": "kernel", "softmax/b": "bias"}

_STEP = re.compile(r".*\.ckpt(?:-(\d+))?\.index")
_NEWEST = re.compile(rb'^model_checkpoint_path: "([^"]+)"', re.MULTILINE)
_INDEX = ".index"
_LARGEST_RECORD = 1 << 16  # bytes

_ADVICE = "The checkpoint and the options must belong to the same model."


class Softmax(NamedTuple):
    """The output layer of a language model."""

    kernel: NDArray[np.float32]  # (words, projection_dim)
    bias: NDArray[np.float32]  # (words,)


def find_checkpoint(path: Path) -> Path | None:
    """The ``.index`` file of a directory's newest checkpoint, or such a file itself."""
    if not path.is_dir():
        return path if path.suffix == _INDEX else None
    steps = {int(m[1] or 0): p for p in path.iterdir() if (m := _STEP.fullmatch(p.name))}
    record = path / "checkpoint"
    if steps and record.is_file() and record.stat().st_size <= _LARGEST_RECORD:
        newest = _NEWEST.search(record.read_bytes())
        # The folder may have been another one when the checkpoint was written.
        name = newest[1].decode("utf-8", "replace").rpartition("/")[2] if newest else ""
        if name and (path / f"{name}{_INDEX}").is_file():
            return path / f"{name}{_INDEX}"
    return steps[max(steps)] if steps else None


def read_bilm_checkpoint(
    index: Path, name: str, options: Path | None = None
) -> tuple[ElmoConfig, dict[str, NDArray[np.float32]]]:
    """The configuration and arrays of a model; ``name`` is for messages."""
    path = options or index.with_name(OPTIONS_NAME)
    config = read_options(path, str(path), is_given=options is not None)
    with reading(f"the checkpoint {str(index)!r}"):
        variables = read_index(index.with_suffix(""))
        names = _names(variables)
        for softmax in _SOFTMAX:
            names.pop(softmax, None)
        what = f"the checkpoint {str(index)!r}"
        check_variables(variables, names, config.array_shapes(), what, _ADVICE)
        return config, read_variables(index.with_suffix(""), names, name)


def read_softmax(index: Path, features: int) -> Softmax:
    """The softmax of a checkpoint, whose kernel may be the embedding of words."""
    what = f"the checkpoint {str(index)!r}"
    with reading(what):
        variables = read_index(index.with_suffix(""))
        names = _names(variables)
        if "softmax/W" not in names and WORD_EMBEDDING in names:
            names["softmax/W"] = names[WORD_EMBEDDING]  # share_embedding_softmax
        names = {array: names[name] for name, array in _SOFTMAX.items() if name in names}
        if len(names) < len(_SOFTMAX):
            raise SourceError(f"{what} has no softmax: lm/softmax/W and lm/softmax/b.")
        n_words = variables[names["kernel"]].shape[0]
        shapes = {"kernel": (n_words, features), "bias": (n_words,)}
        check_variables(variables, names, shapes, what, _ADVICE)
        return Softmax(**read_variables(index.with_suffix(""), names, str(index)))


def _names(variables: Iterable[str]) -> dict[str, str]:
    """The variable of each array, by the array's name in HDF5 files."""
    names: dict[str, str] = {}
    ours = {variable for variable in variables if variable.startswith(_SCOPE)}
    for variable in sorted(ours):
        # What an optimizer keeps of a variable has its name after that of the variable.
        if variable.rpartition("/")[0] not in ours:
            inner = variable.removeprefix(_SCOPE)
            if part := _LSTM.fullmatch(inner):
                prefix = lstm_prefix(int(part[1]), int(part[2] or 0))
                inner = f"{prefix}/{LSTM_NAMES[part[3]]}"
            names[inner] = variable
    return names
