"""Tiny seeded models in the files of ELMoForManyLangs, and the pickles they are made of."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WORDS = ("<oov>", "<bos>", "<eos>", "<pad>", ".", "Ufer", "die", "Straße", "北京", "🙂")
CHARACTERS = (
    *("U", "f", "e", "r", "d", "i", "ß", "北", "京", "🙂", ".", "\u3000", "<", ">"),
    *("<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"),
)
NETWORK: dict[str, Any] = {
    "encoder": {
        "name": "elmo",
        "projection_dim": 4,
        "cell_clip": 0.8,
        "proj_clip": 0.5,
        "dim": 6,
        "n_layers": 2,
    },
    "token_embedder": {
        "name": "cnn",
        "activation": "tanh",
        "filters": [[1, 3], [2, 4]],
        "n_highway": 1,
        "word_dim": 3,
        "char_dim": 2,
        "max_characters_per_token": 8,
    },
}
SENTENCES = [
    ["die", "Straße", "."],
    ["北京", "🙂"],
    ["Uferstraße", "Ufer", "<bos>", "ne", "x"],
    ["."],
]

# ------------------------------------------------------------------------ torch.save, 2018


class Name(NamedTuple):
    module: str
    name: str


class Call(NamedTuple):
    function: Name
    arguments: tuple[Any, ...]


class Persistent(NamedTuple):
    values: tuple[Any, ...]


ORDERED_DICT = Name("collections", "OrderedDict")
REBUILD = Name("torch._utils", "_rebuild_tensor_v2")
FLOATS = Name("torch", "FloatStorage")


def instructions(value: Any) -> bytes:
    """The instructions of protocol 2 that make a value."""
    match value:
        case Name(module, name):
            return f"c{module}\n{name}\n".encode()
        case Call(function, arguments):
            return instructions(function) + instructions(arguments) + b"R"
        case Persistent(values):
            return instructions(values) + b"Q"
        case None | True | False:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case int() if value < 2**31:
            return b"J" + struct.pack("<i", value)
        case int():
            return b"\x8a\x0a" + value.to_bytes(10, "little")
        case tuple():
            return b"(" + b"".join(map(instructions, value)) + b"t"
        case list():
            return b"](" + b"".join(map(instructions, value)) + b"e"
    items = b"".join(instructions(k) + instructions(v) for k, v in value.items())
    return instructions(Call(ORDERED_DICT, ())) + b"(" + items + b"u"


def pickled(value: Any) -> bytes:
    return b"\x80\x02" + instructions(value) + b"."


def tensor(key: str, shape: tuple[int, ...], **changed: Any) -> Call:
    """A tensor as torch.save describes it."""
    n = int(np.prod(shape))
    strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    part = {"offset": 0, "shape": shape, "strides": strides, "size": n, "type": FLOATS}
    part |= changed
    storage = Persistent(("storage", part["type"], key, "cpu", part["size"], None))
    hooks = Call(ORDERED_DICT, ())
    arguments = (storage, part["offset"], part["shape"], part["strides"], False, hooks)
    return Call(REBUILD, arguments)


SYSTEM = {"protocol_version": 1001, "little_endian": True}


def torch_file(
    state: Any, storages: Mapping[str, np.ndarray], system: Any = SYSTEM
) -> bytes:
    """A file of torch.save: four pickles, the storages' names and their numbers."""
    parts = [0x1950A86A20F9469CFC6C, 1001, system, state, list(storages)]
    numbers = (struct.pack("<q", a.size) + a.tobytes() for a in storages.values())
    return b"".join([*map(pickled, parts), *numbers])


def saved_tensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    keys = {name: str(i) for i, name in enumerate(arrays)}
    state = {name: tensor(keys[name], a.shape) for name, a in arrays.items()}
    return torch_file(state, {keys[name]: array for name, array in arrays.items()})


# --------------------------------------------------------------------------------- models


def dic(entries: Iterable[str]) -> bytes:
    return "".join(f"{entry}\t{i}\n" for i, entry in enumerate(entries)).encode()


def manylangs_files(
    network: Mapping[str, Any] = NETWORK,
    words: tuple[str, ...] = WORDS,
    characters: tuple[str, ...] = CHARACTERS,
    seed: int = 0,
    scale: float = 0.5,
) -> dict[str, bytes]:
    """The files of a model by their names."""
    rng = np.random.default_rng(seed)
    encoder, embedder = network["encoder"], network["token_embedder"]
    size, units = encoder["projection_dim"], encoder["dim"]
    n_filters = sum(n for _, n in embedder["filters"])
    shapes = {"char_emb_layer.embedding.weight": (len(characters), embedder["char_dim"])}
    if embedder["word_dim"]:
        shapes["word_emb_layer.embedding.weight"] = (len(words), embedder["word_dim"])
    for i, (width, n) in enumerate(embedder["filters"]):
        shapes[f"convolutions.{i}.weight"] = (n, embedder["char_dim"], width)
        shapes[f"convolutions.{i}.bias"] = (n,)
    for i in range(embedder["n_highway"]):
        shapes[f"highways._layers.{i}.weight"] = (2 * n_filters, n_filters)
        shapes[f"highways._layers.{i}.bias"] = (2 * n_filters,)
    shapes["projection.weight"] = (size, embedder["word_dim"] + n_filters)
    shapes["projection.bias"] = (size,)
    lstms = {}
    for direction in ("forward", "backward"):
        for layer in range(encoder["n_layers"]):
            prefix = f"{direction}_layer_{layer}"
            lstms[f"{prefix}.input_linearity.weight"] = (4 * units, size)
            lstms[f"{prefix}.state_linearity.weight"] = (4 * units, size)
            lstms[f"{prefix}.state_linearity.bias"] = (4 * units,)
            lstms[f"{prefix}.state_projection.weight"] = (size, units)

    def drawn(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
        arrays = {k: rng.normal(0, scale, s).astype(np.float32) for k, s in shapes.items()}
        return saved_tensors(arrays)

    return {
        "char.dic": dic(characters),
        "word.dic": dic(words),
        "config.json": json.dumps({"config_path": "/users4/x/network.json"}).encode(),
        "configs/network.json": json.dumps(network).encode(),
        "encoder.pkl": drawn(lstms),
        "token_embedder.pkl": drawn(shapes),
    }


def manylangs_model(folder: Path, **changed: bytes | None) -> Path:
    """A folder with a model; ``changed`` files by their stems, ``None`` for none."""
    for name, content in manylangs_files().items():
        content = changed.get(Path(name).stem, content)
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


def without_words() -> dict[str, Any]:
    return {**NETWORK, "token_embedder": {**NETWORK["token_embedder"], "word_dim": 0}}
