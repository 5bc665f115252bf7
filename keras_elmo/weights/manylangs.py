"""Models of ELMoForManyLangs: folders and NLPL's zip archives.

Its tables, matrices and gates are put into the order of bilm-tf's arrays. The original puts
the mark of a word's end before the word and that of its start after it; here the table's
rows are exchanged, so that ids are as everywhere else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_elmo.config import ElmoConfig
from keras_elmo.errors import DamagedSourceError, SourceError
from keras_elmo.text.characters import (
    BEGIN_SENTENCE_ID,
    BEGIN_WORD_ID,
    CHARACTER_PADDING_ID,
    END_SENTENCE_ID,
    END_WORD_ID,
    N_CHARACTERS,
)
from keras_elmo.text.lexicon import UNKNOWN_CHARACTER, Lexicon
from keras_elmo.text.strict_json import parse_json
from keras_elmo.weights.archive import most_unpacked_bytes
from keras_elmo.weights.names import check_finite, differences, listed, lstm_prefix
from keras_elmo.weights.torch_file import Floats, read_tensors
from keras_elmo.weights.word_list import largest_in_archive
from keras_elmo.weights.zip_archive import open_zip, unpack_member

_ENCODER, _TOKEN_EMBEDDER = "encoder.pkl", "token_embedder.pkl"
_WORDS, _CHARACTERS, _SETTINGS = "word.dic", "char.dic", "config.json"

_LARGEST_JSON = 1 << 20  # bytes; real ones have under a thousand
_LARGEST_TABLE = 1 << 26  # bytes of a .dic; the largest known has 3 MB

_SPECIAL_WORDS = ("<bos>", "<eos>", "<oov>")
# The rows that they have here.
_SPECIAL_CHARACTERS = {
    "<oov>": UNKNOWN_CHARACTER,
    "<bos>": BEGIN_SENTENCE_ID - 1,
    "<eos>": END_SENTENCE_ID - 1,
    "<eow>": BEGIN_WORD_ID - 1,
    "<bow>": END_WORD_ID - 1,
    "<pad>": CHARACTER_PADDING_ID - 1,
}

# The network of all released models, which most releases leave out.
_STANDARD: dict[str, Any] = {
    "encoder": {
        "name": "elmo",
        "projection_dim": 512,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 4096,
        "n_layers": 2,
    },
    "token_embedder": {
        "name": "cnn",
        "activation": "relu",
        "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
        "n_highway": 2,
        "word_dim": 100,
        "char_dim": 50,
        "max_characters_per_token": 50,
    },
}

_Arrays = dict[str, NDArray[np.float32]]


def is_manylangs(names: Iterable[str]) -> bool:
    """Whether files of these names are such a model."""
    return {_ENCODER, _TOKEN_EMBEDDER} <= {PurePosixPath(name).name for name in names}


def read_manylangs_zip(path: Path, name: str) -> tuple[ElmoConfig, _Arrays]:
    """Reads a zip archive with the files at its root, or in one folder."""
    with open_zip(path) as archive, tempfile.TemporaryDirectory() as folder:
        members = [member.filename for member in archive.infolist() if not member.is_dir()]
        encoders = [member for member in members if member.endswith(_ENCODER)]
        root = min(encoders, key=len)[: -len(_ENCODER)]
        for member in members:
            if not member.startswith(root):
                continue
            target = Path(folder, member.removeprefix(root))
            largest = largest_in_archive(path.stat().st_size)
            if target.name in (_ENCODER, _TOKEN_EMBEDDER):
                largest = most_unpacked_bytes(path.stat().st_size)
            elif target.suffix == ".json":
                largest = _LARGEST_JSON
            elif target.name not in (_WORDS, _CHARACTERS):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            unpack_member(archive, member, target, largest)
        return read_manylangs(Path(folder), name)


def read_manylangs(folder: Path, name: str) -> tuple[ElmoConfig, _Arrays]:
    """Reads a folder; ``name`` is for messages."""
    options = _network(folder, name)
    encoder, embedder = (_section(options, key, name) for key in _STANDARD)
    for section, kind in ((encoder, "elmo"), (embedder, "cnn")):
        if section.get("name", kind).lower() != kind:
            raise SourceError(
                f"source {name!r}: its network has a part named {section['name']!r:.100}; "
                f"expected {kind!r}, as in all released models. It cannot be loaded."
            )
    words: list[str] = []
    if embedder.get("word_dim"):
        words = _read_table(folder / _WORDS, name, _SPECIAL_WORDS)
    entries = _read_table(folder / _CHARACTERS, name, _SPECIAL_CHARACTERS)
    character_rows = _character_rows(entries)
    characters = [entries[row] if row >= 0 else "" for row in character_rows.tolist()]
    lexicon = Lexicon(tuple(words), tuple(characters), _SPECIAL_WORDS)
    config = _config(encoder, embedder, lexicon, name)
    token_tensors = read_tensors(folder / _TOKEN_EMBEDDER, f"{name}: {_TOKEN_EMBEDDER}")
    arrays = _token_arrays(config, token_tensors, character_rows, name)
    del token_tensors
    tensors = read_tensors(folder / _ENCODER, f"{name}: {_ENCODER}")
    _check_shapes(tensors, _encoder_shapes(config), _ENCODER, name)
    for direction, of_direction in enumerate(("forward", "backward")):
        for layer in range(config.n_layers):
            prefix = f"{of_direction}_layer_{layer}."
            part = {  # taken out, so that no two copies of all are held
                key: tensors.pop(key)
                for key in [key for key in tensors if key.startswith(prefix)]
            }
            arrays |= _lstm_arrays(part, prefix, lstm_prefix(direction, layer))
    check_finite(arrays, name)
    return config, arrays


def _network(folder: Path, name: str) -> Mapping[str, Any]:
    """The network's configuration: the one that is named, or the standard one."""
    settings = _read_json(folder / _SETTINGS, name)
    named = settings.get("config_path")
    if not isinstance(named, str):
        return _STANDARD
    base = PureWindowsPath(named).name  # whose separators are of both kinds
    relative = PureWindowsPath(named)
    candidates = [folder / base, folder / "configs" / base]
    if not relative.anchor and ".." not in relative.parts:
        candidates.insert(0, folder.joinpath(*relative.parts))
    for path in candidates:
        if base and path.is_file():
            return _read_json(path, name)
    return _STANDARD


def _read_json(path: Path, name: str) -> Mapping[str, Any]:
    content = _read(path, name, _LARGEST_JSON)
    try:
        parsed = parse_json(content)
    except ValueError as error:
        raise DamagedSourceError(
            f"source {name!r}: {path.name!r} is not JSON ({error!s:.200}). Download or "
            "copy it again."
        ) from error
    if not isinstance(parsed, dict):
        raise SourceError(f"source {name!r}: {path.name!r} is not a JSON object.")
    return parsed


def _read(path: Path, name: str, largest: int) -> bytes:
    try:
        n_bytes = path.stat().st_size
        if 0 < n_bytes <= largest:
            return path.read_bytes()
        problem = f"has {n_bytes:,} bytes" if n_bytes else "is empty"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    raise SourceError(
        f"source {name!r}: {path.name!r} {problem}. A model of ELMoForManyLangs has the "
        f"files {_CHARACTERS}, {_SETTINGS}, {_ENCODER}, {_TOKEN_EMBEDDER} and {_WORDS}: "
        "download or copy it again."
    )


def _section(options: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    section = options.get(key)
    if not isinstance(section, dict) or not isinstance(section.get("name", ""), str):
        raise SourceError(
            f"source {name!r}: the configuration of its network has no object {key!r}. "
            "Use the files as they were released."
        )
    return section


def _read_table(path: Path, name: str, special: Iterable[str]) -> list[str]:
    """The entries of a ``.dic`` by their ids: a line has an entry, a tab and its id."""
    content = _read(path, name, _LARGEST_TABLE)
    entries: dict[int, str] = {}
    problem = "holds nothing"
    try:
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            entry, tab, digits = line.rpartition("\t")
            row = int(digits) if tab and len(digits) < 12 else -1
            if row < 0 or row in entries:
                problem = f"line {number} has no id of its own after a tab"
                break
            entries[row] = entry
        else:
            missing = sorted({*special} - {*entries.values()})
            if max(entries) == len(entries) - 1 and not missing:
                return [entries[row] for row in range(len(entries))]
            problem = f"its {len(entries):,} ids do not go from 0 to {len(entries) - 1:,}"
            if missing:
                problem = f"there is no entry {', '.join(missing)}"
    except ValueError as error:  # not UTF-8, or not a number
        problem = f"{error!s:.200}"
    raise SourceError(
        f"source {name!r}: {path.name!r} is not a list of entries and their ids: "
        f"{problem}. Download or copy it again."
    )


def _character_rows(entries: Sequence[str]) -> NDArray[np.intp]:
    """The file's row of each of our rows, -1 for none: the special ones in their places."""
    special = {_SPECIAL_CHARACTERS[e]: i for i, e in enumerate(entries) if _is_special(e)}
    others = [i for i, e in enumerate(entries) if not _is_special(e)]
    rows = np.full(max(N_CHARACTERS, len(entries)), -1, np.intp)
    rows[list(special)] = list(special.values())
    rows[np.flatnonzero(rows < 0)[: len(others)]] = others
    return rows


def _is_special(entry: str) -> bool:
    return entry in _SPECIAL_CHARACTERS


def _config(
    encoder: Mapping[str, Any], embedder: Mapping[str, Any], lexicon: Lexicon, name: str
) -> ElmoConfig:
    try:
        config = ElmoConfig(
            char_dim=embedder["char_dim"],
            filters=embedder["filters"],
            n_highway=embedder["n_highway"],
            activation=embedder["activation"],
            max_characters_per_token=embedder["max_characters_per_token"],
            n_layers=encoder["n_layers"],
            dim=encoder["dim"],
            projection_dim=encoder["projection_dim"],
            cell_clip=encoder.get("cell_clip") or None,
            projection_clip=encoder.get("proj_clip") or None,
            word_dim=embedder.get("word_dim") or 0,
            lexicon=lexicon,
        )
        if not (
            config.char_dim and config.has_token_projection and config.has_lstm_projection
        ):
            raise ValueError(
                "char_dim must be positive, and dim and the size of the token embedder's "
                "features other than projection_dim, as in all released models."
            )
    except (KeyError, TypeError, ValueError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else error
        raise SourceError(
            f"source {name!r}: the configuration of its network cannot be used: {problem}"
        ) from error
    return config


def _token_arrays(
    config: ElmoConfig,
    tensors: Mapping[str, Floats],
    character_rows: NDArray[np.intp],
    name: str,
) -> _Arrays:
    filters, n_filters = config.filters, config.n_filters
    n_features = config.word_dim + n_filters
    # Of the file, where rows without an entry are missing.
    n_characters = int((character_rows >= 0).sum())
    shapes: dict[str, tuple[int, ...]] = {
        "char_emb_layer.embedding.weight": (n_characters, config.char_dim),
        "projection.weight": (config.projection_dim, n_features),
        "projection.bias": (config.projection_dim,),
    }
    if config.word_dim:
        shapes["word_emb_layer.embedding.weight"] = (config.n_words, config.word_dim)
    for i, (width, count) in enumerate(filters):
        shapes[f"convolutions.{i}.weight"] = (count, config.char_dim, width)
        shapes[f"convolutions.{i}.bias"] = (count,)
    for i in range(config.n_highway):
        shapes[f"highways._layers.{i}.weight"] = (2 * n_filters, n_filters)
        shapes[f"highways._layers.{i}.bias"] = (2 * n_filters,)
    _check_shapes(tensors, shapes, _TOKEN_EMBEDDER, name)
    arrays: _Arrays = {}
    if config.word_dim:
        arrays["embedding"] = _float32(tensors["word_emb_layer.embedding.weight"])
    characters = tensors["char_emb_layer.embedding.weight"][character_rows]
    characters[character_rows < 0] = 0
    arrays["char_embed"] = _float32(characters)
    for i in range(len(filters)):
        kernel = tensors[f"convolutions.{i}.weight"]  # (count, char_dim, width)
        arrays[f"CNN/W_cnn_{i}"] = _float32(kernel.transpose(2, 1, 0)[None])
        arrays[f"CNN/b_cnn_{i}"] = _float32(tensors[f"convolutions.{i}.bias"])
    for i in range(config.n_highway):
        # Its gate opens for what is carried, that of bilm-tf for what is new.
        for key in ("weight", "bias"):
            new, gate = np.split(tensors[f"highways._layers.{i}.{key}"], 2)
            letter = "W" if key == "weight" else "b"
            arrays[f"CNN_high_{i}/{letter}_transform"] = _float32(new.T)
            arrays[f"CNN_high_{i}/{letter}_carry"] = _float32(-gate.T)
    arrays["CNN_proj/W_proj"] = _float32(tensors["projection.weight"].T)
    arrays["CNN_proj/b_proj"] = _float32(tensors["projection.bias"])
    return arrays


def _encoder_shapes(config: ElmoConfig) -> dict[str, tuple[int, ...]]:
    size, units = config.projection_dim, config.dim
    shapes: dict[str, tuple[int, ...]] = {}
    for direction in ("forward", "backward"):
        for layer in range(config.n_layers):
            prefix = f"{direction}_layer_{layer}"
            shapes[f"{prefix}.input_linearity.weight"] = (4 * units, size)
            shapes[f"{prefix}.state_linearity.weight"] = (4 * units, size)
            shapes[f"{prefix}.state_linearity.bias"] = (4 * units,)
            shapes[f"{prefix}.state_projection.weight"] = (size, units)
    return shapes


def _lstm_arrays(tensors: Mapping[str, Floats], prefix: str, name: str) -> _Arrays:
    """The arrays of one LSTM; its gates i, f, g, o are i, j, f, o in bilm-tf, j being g."""
    inputs, states = (
        _reordered(tensors[f"{prefix}{part}_linearity.weight"])
        for part in ("input", "state")
    )
    units = len(inputs) // 4
    kernel = np.empty((2 * inputs.shape[1], 4 * units), np.float32)
    kernel[: inputs.shape[1]] = inputs.T
    kernel[inputs.shape[1] :] = states.T
    bias = _reordered(tensors[f"{prefix}state_linearity.bias"]).astype(np.float32)
    bias[2 * units : 3 * units] -= 1  # which is added at run time
    return {
        f"{name}/W_0": kernel,
        f"{name}/B": bias,
        f"{name}/W_P_0": _float32(tensors[f"{prefix}state_projection.weight"].T),
    }


def _reordered(rows: Floats) -> Floats:
    i, f, g, o = np.split(rows, 4)
    return np.concatenate([i, g, f, o])


def _float32(array: Floats) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)


def _check_shapes(
    tensors: Mapping[str, Floats],
    expected: Mapping[str, tuple[int, ...]],
    file_name: str,
    name: str,
) -> None:
    found = {key: tensor.shape for key, tensor in tensors.items()}
    if problems := differences(found, expected):
        raise SourceError(
            f"source {name!r}: the tensors in {file_name!r} do not fit its configuration "
            f"and lists of words and characters:\n{listed(problems)}\n"
            "All files must belong to the same model."
        )
