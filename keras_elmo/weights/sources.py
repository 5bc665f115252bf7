"""Reads models from files, and writes them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.text.strict_json import parse_json
from keras_elmo.types import PathLike
from keras_elmo.weights.archive import most_unpacked_bytes
from keras_elmo.weights.atomic import replacing
from keras_elmo.weights.download import HDF5_SUFFIXES
from keras_elmo.weights.hdf5 import read_hdf5, write_hdf5
from keras_elmo.weights.locate import WHAT_TO_DO
from keras_elmo.weights.manylangs import (
    is_manylangs,
    read_manylangs,
    read_manylangs_zip,
)
from keras_elmo.weights.names import (
    OPTIONS_NAME,
    SOFTMAX_FILE_SUFFIX,
    WEIGHTS_NAME,
    matching_options_name,
)
from keras_elmo.weights.word_list import (
    WORDS_NAME,
    is_word_list,
    largest_in_archive,
    needs_words,
    read_word_list,
    write_word_list,
)
from keras_elmo.weights.zip_archive import open_zip, unpack_member

_LARGEST_OPTIONS = 1 << 20  # bytes; real ones have under a thousand
_HDF5_OVERHEAD = 1 << 24  # bytes in addition to the numbers, with a wide margin

_Pair = tuple[ElmoConfig, dict[str, NDArray[np.float32]]]


class Model(NamedTuple):
    """The content of a source, with its scalar mix if it has one, and its path."""

    config: ElmoConfig
    arrays: dict[str, NDArray[np.float32]]
    path: Path


def load_path(path: Path, name: str | None = None, options: Path | None = None) -> _Pair:
    """Reads a local directory, ``.zip`` archive or HDF5 file; ``name`` is for messages.

    ``options`` are those of an HDF5 file, whatever its name.
    """
    name = str(path) if name is None else name
    suffix, is_given = path.suffix.lower(), options is not None
    if options is not None:
        if path.is_dir() or suffix == ".zip":
            raise SourceError(
                f"options {str(options)!r}: they are for a source that is an .hdf5 file; "
                f"{name!r} has its own. Leave options out, or name the .hdf5 file itself."
            )
        weights = path
    elif path.is_dir():
        names = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        if is_manylangs(names):
            return read_manylangs(path, name)
        options, weights = (path / file for file in _pick(names, name))
    elif suffix == ".zip":
        return _load_archive(path, name)
    elif suffix in HDF5_SUFFIXES:
        options, weights = _options_of(path, name), path
    else:
        raise SourceError(
            f"source {name!r}: {path.name!r} is neither a directory nor a .zip, .tar.gz or "
            ".hdf5 file. " + WHAT_TO_DO
        )
    config = read_options(options, str(options), is_given)
    return config, read_hdf5(weights, config)


def has_weights(path: Path) -> bool:
    """Whether a directory has an HDF5 file, which goes before a checkpoint in it."""
    return path.is_dir() and any(
        entry.name.lower().endswith(HDF5_SUFFIXES) for entry in path.iterdir()
    )


def _load_archive(path: Path, name: str) -> _Pair:
    with open_zip(path) as archive, tempfile.TemporaryDirectory() as folder:
        names = [member.filename for member in archive.infolist() if not member.is_dir()]
        if is_manylangs(names):
            return read_manylangs_zip(path, name)
        options, weights = _pick(names, name)
        options_path, weights_path = Path(folder, OPTIONS_NAME), Path(folder, WEIGHTS_NAME)
        unpack_member(archive, options, options_path, _LARGEST_OPTIONS)
        largest = largest_in_archive(path.stat().st_size)
        for words in filter(is_word_list, names):  # which a model of words needs
            if archive.getinfo(words).file_size <= largest:
                target = Path(folder, PureWindowsPath(words).name)
                unpack_member(archive, words, target, largest)
        config = read_options(options_path, f"{options:.200} in {path}")
        # 8 bytes for each number: float64 is the largest type they may have.
        max_bytes = 8 * config.n_parameters + _HDF5_OVERHEAD
        max_bytes = min(max_bytes, most_unpacked_bytes(path.stat().st_size))
        unpack_member(archive, weights, weights_path, max_bytes)
        return config, read_hdf5(weights_path, config, f"{weights:.200} in {path}")


def _pick(names: Sequence[str], source: str) -> tuple[str, str]:
    """The names of the options and the weights in a directory or archive."""
    # macOS adds a file "._name" next to each file.
    names = [name for name in names if not PureWindowsPath(name).name.startswith("._")]
    options = [name for name in names if _is_options(name)]
    weights = [
        name
        for name in names
        if name.lower().endswith(HDF5_SUFFIXES) and not name.endswith(SOFTMAX_FILE_SUFFIX)
    ]
    if len(options) == len(weights) == 1:
        return options[0], weights[0]
    several = "Pass the .hdf5 file itself, or keep one model in a directory."
    raise SourceError(
        f"source {source!r}: expected one options.json (or *_options.json) and one .hdf5 "
        f"file; found {len(options)} options {_listed(options)} and {len(weights)} HDF5 "
        f"files {_listed(weights)} among {len(names)} files. "
        + (several if len(weights) > 1 else WHAT_TO_DO)
    )


def _listed(names: Sequence[str]) -> str:
    more = ["..."] * (len(names) > 5)
    return f"({', '.join([f'{name:.100}' for name in names[:5]] + more)})"


def _is_options(name: str) -> bool:
    base = PureWindowsPath(name).name
    return base == OPTIONS_NAME or base.endswith("_" + OPTIONS_NAME)


def _options_of(weights: Path, name: str) -> Path:
    """The options next to an HDF5 file: with the same prefix, or the only ones."""
    same_prefix = weights.with_name(matching_options_name(weights.name))
    candidates = (same_prefix, weights.with_name(OPTIONS_NAME))
    for path in candidates:
        if path.is_file():
            return path
    others = sorted(path for path in weights.parent.iterdir() if _is_options(path.name))
    if len(others) == 1:
        return others[0]
    wanted = " or ".join(dict.fromkeys(repr(path.name) for path in candidates))
    raise SourceError(
        f"source {name!r}: its options are not next to it: no {wanted}, and "
        f"{len(others)} other *_options.json, in "
        f"{str(weights.parent.absolute())!r}. Put the model's options.json there."
    )


def read_options(path: Path, name: str, is_given: bool = False) -> ElmoConfig:
    """Reads options; ``is_given`` if they did not come with the weights."""
    try:
        if path.stat().st_size > _LARGEST_OPTIONS:
            raise ValueError(f"larger than {_LARGEST_OPTIONS:,} bytes.")
        options = parse_json(path.read_bytes())
        words = read_word_list(path.parent) if needs_words(options) else None
        return ElmoConfig.from_options(options, words)
    except (OSError, ValueError) as error:
        is_damaged = isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
        # To download the weights again would not help.
        is_damaged = is_damaged and not is_given
        raise (DamagedSourceError if is_damaged else SourceError)(
            f"Cannot use the options {name!r}: {error} Expected the options.json of an "
            "ELMo model in the format of bilm-tf and AllenNLP."
        ) from error


def save_model(
    directory: PathLike,
    config: ElmoConfig,
    arrays: dict[str, NDArray[np.float32]],
    dtype: DTypeLike = np.float32,
) -> None:
    """Writes ``options.json`` and ``weights.hdf5`` to a directory, which is created.

    That of a model of words gets a ``vocabulary.txt`` too.
    """
    options = config.to_options()
    if config.word_dim and (config.char_dim or config.has_token_projection):
        raise ValueError(
            "The HDF5 format of bilm-tf holds models of characters or of words; this one "
            "has both. Save it in a .keras file or as a SavedModel."
        )
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_hdf5(folder / WEIGHTS_NAME, config, arrays, dtype)
    if config.word_dim and config.lexicon is not None:
        del options["lexicon"]
        with replacing(folder / WORDS_NAME) as path:
            write_word_list(path, config.lexicon)
    with replacing(folder / OPTIONS_NAME) as path:
        path.write_text(json.dumps(options, indent=2) + "\n", encoding="utf-8")
