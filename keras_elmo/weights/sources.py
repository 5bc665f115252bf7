"""From what a user names to a configuration and arrays."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.errors import SourceError
from keras_elmo.types import PathLike
from keras_elmo.weights.archive import member_names, unpack_member
from keras_elmo.weights.hdf5 import read_hdf5

OPTIONS_NAME = "options.json"
WEIGHTS_NAME = "weights.hdf5"

_HDF5_SUFFIXES = (".hdf5", ".h5")
_LARGEST_OPTIONS = 1 << 20  # bytes; real ones have under a thousand
_HDF5_OVERHEAD = 1 << 24  # bytes beside the numbers, with a wide margin

_WHAT_TO_DO = (
    "A source is a directory or a .zip archive with options.json (or *_options.json) and "
    "one .hdf5 file, the path of that .hdf5 file, or the URL of a .zip or .hdf5 file; or "
    "an ElmoConfig for random weights."
)

Model = tuple[ElmoConfig, dict[str, NDArray[np.float32]]]
"""A configuration and the arrays by name."""


def load_source(source: PathLike) -> Model:
    """Finds and reads a model.

    Args:
        source: A directory, a .zip archive, an HDF5 file with its options beside it, or
            the URL of one of the last two.

    Returns:
        The configuration and the arrays by name.

    Raises:
        SourceError: There is nothing to read, or something other than one ELMo model.
        TypeError: ``source`` is not a path or URL.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source must be a path, a URL or an ElmoConfig; got {source!r:.200}."
        )
    name = os.fspath(source)
    if "://" in name:
        from keras_elmo.weights.download import download_source

        return load_path(download_source(name), name)
    return load_path(Path(name).expanduser(), name)


def load_path(path: Path, name: str) -> Model:
    """Reads a model from a directory, an archive or an HDF5 file.

    Args:
        path: Where it lies.
        name: What the user called it, for messages.

    Returns:
        The configuration and the arrays by name.

    Raises:
        SourceError: There is nothing to read, or something other than one ELMo model.
    """
    if path.is_dir():
        return _load_directory(path, name)
    if not path.exists():
        raise SourceError(
            f"source {name!r}: there is no file or directory {str(path.absolute())!r}. "
            + _WHAT_TO_DO
        )
    if path.suffix.lower() in _HDF5_SUFFIXES:
        return _load_pair(_options_beside(path, name), path)
    if path.suffix.lower() == ".zip":
        return _load_archive(path, name)
    raise SourceError(
        f"source {name!r}: {path.name!r} is neither a directory nor a .zip or .hdf5 file. "
        + _WHAT_TO_DO
    )


def _load_directory(path: Path, name: str) -> Model:
    names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
    options, weights = _pick(names, name)
    return _load_pair(path / options, path / weights)


def _load_archive(path: Path, name: str) -> Model:
    options, weights = _pick(member_names(path), name)
    with tempfile.TemporaryDirectory() as folder:
        options_path = Path(folder, OPTIONS_NAME)
        unpack_member(path, options, options_path, _LARGEST_OPTIONS)
        config = _read_options(options_path, f"{options} in {path}")
        weights_path = Path(folder, WEIGHTS_NAME)
        # 8 bytes for each number: float64 is the largest type they may have.
        max_bytes = 8 * config.n_parameters + _HDF5_OVERHEAD
        unpack_member(path, weights, weights_path, max_bytes)
        return config, read_hdf5(weights_path, config, f"{weights} in {path}")


def _load_pair(options: Path, weights: Path) -> Model:
    config = _read_options(options, str(options))
    return config, read_hdf5(weights, config)


def _pick(names: Sequence[str], source: str) -> tuple[str, str]:
    """The names of the options and the weights among those of a directory or archive."""
    options = [name for name in names if _is_options(name)]
    weights = [name for name in names if name.lower().endswith(_HDF5_SUFFIXES)]
    if len(options) == len(weights) == 1:
        return options[0], weights[0]
    advice = _WHAT_TO_DO
    if len(weights) > 1:
        advice = "Name the .hdf5 file itself, or keep one model in a directory."
    raise SourceError(
        f"source {source!r}: expected one options.json (or *_options.json) and one .hdf5 "
        f"file; found {len(options)} options {_listed(options)} and {len(weights)} HDF5 "
        f"files {_listed(weights)} among {len(names)} files. {advice}"
    )


def _listed(names: Sequence[str]) -> str:
    return "(" + ", ".join(names[:5]) + (", ...)" if len(names) > 5 else ")")


def _is_options(name: str) -> bool:
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return base == OPTIONS_NAME or base.endswith("_" + OPTIONS_NAME)


def _options_beside(weights: Path, name: str) -> Path:
    """The options that belong to an HDF5 file: of the same prefix, or the only ones."""
    same_prefix = weights.with_name(matching_options_name(weights.name))
    plain = weights.with_name(OPTIONS_NAME)
    for path in (same_prefix, plain):
        if path.is_file():
            return path
    others = sorted(path for path in weights.parent.iterdir() if _is_options(path.name))
    if len(others) == 1:
        return others[0]
    raise SourceError(
        f"source {name!r}: its options are not beside it: no {same_prefix.name!r} or "
        f"{OPTIONS_NAME!r}, and {len(others)} other *_options.json, in "
        f"{str(weights.parent.absolute())!r}. Put the model's options.json there."
    )


def matching_options_name(weights_name: str) -> str:
    """``x_weights.hdf5`` -> ``x_options.json``; for other names, ``options.json``."""
    stem = weights_name.rsplit(".", 1)[0]
    if stem.endswith("weights"):
        return stem.removesuffix("weights") + OPTIONS_NAME
    return OPTIONS_NAME


def _read_options(path: Path, name: str) -> ElmoConfig:
    try:
        if path.stat().st_size > _LARGEST_OPTIONS:
            raise ValueError(f"larger than {_LARGEST_OPTIONS:,} bytes")
        return ElmoConfig.from_json(path)
    # ValueError includes broken JSON and broken UTF-8; deep nesting ends in recursion.
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(
            f"Cannot use the options {name!r}: {error} Expected the options.json of a "
            "character-based ELMo model, as bilm-tf and AllenNLP have them."
        ) from error


def save_model(
    directory: PathLike, config: ElmoConfig, arrays: dict[str, NDArray[np.float32]]
) -> None:
    """Writes a model as ``options.json`` and ``weights.hdf5``.

    Args:
        directory: Where to; made if it does not exist.
        config: The configuration.
        arrays: The arrays by name.

    Raises:
        OSError: The files cannot be written.
    """
    from keras_elmo.weights.hdf5 import write_hdf5

    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_hdf5(folder / WEIGHTS_NAME, config, arrays)
    text = json.dumps(config.to_options(), indent=2) + "\n"
    (folder / OPTIONS_NAME).write_text(text, encoding="utf-8")
