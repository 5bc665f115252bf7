"""``keras-elmo info``: what a source holds, and where it is."""

from __future__ import annotations

import argparse
import dataclasses
import glob
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_elmo.cli.arguments import (
    DOWNLOADS,
    add_json,
    add_options,
    add_source,
    counted,
)
from keras_elmo.cli.terminal import print_rows

if TYPE_CHECKING:
    from keras_elmo.config import ElmoConfig
    from keras_elmo.types import Arrays

SUMMARY = "describe a model"
DETAILS = DOWNLOADS
EXAMPLES = ("mini", "path/to/weights.hdf5", "https://tfhub.dev/google/elmo/3 --json")

# The stage of an array, by the first part of its name; highways are numbered.
_STAGES = {
    "embedding": "word_embedding",
    "char_embed": "character_embedding",
    "CNN": "convolutions",
    "CNN_high": "highways",
    "CNN_proj": "projection",
    "RNN": "lstms",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    add_options(parser)
    add_json(parser)


def run(source: str, options: str | None, as_json: bool) -> None:
    from keras_elmo.hub.sources import load_source
    from keras_elmo.weights.locate import remote_address
    from keras_elmo.weights.named_models import MODELS

    config, arrays, path = load_source(source, options=options)
    named = MODELS.get(source)
    found = {
        "source": source,
        "kind": _kind(path),
        "path": str(path.absolute()),
        "downloaded": remote_address(source) is not None,
        "bytes": size_on_disk(path),
        "configuration": _configuration(config),
        "output_dim": config.output_dim,
        "parameters": _parameters(config),
        "scalar_mix": mix_of(arrays),
        "named_model": None if named is None else dataclasses.asdict(named),
    }
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)


def _configuration(config: ElmoConfig) -> dict[str, Any]:
    """The fields; of a lexicon, which only some models have, the numbers of its entries."""
    entries = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in ("word_dim", "lexicon")
    }
    if config.lexicon is None:
        return entries
    numbers = {"word_dim": config.word_dim, "n_words": config.n_words}
    return {**entries, **numbers, "n_characters": config.n_characters}


def mix_of(arrays: Arrays) -> dict[str, Any] | None:
    """The mix of a source, if it has one; ``shares`` are the softmax of ``weights``."""
    import numpy as np

    from keras_elmo.config import MIX_GAMMA, MIX_WEIGHTS

    if MIX_WEIGHTS not in arrays:
        return None
    weights = np.asarray(arrays[MIX_WEIGHTS], np.float64)
    shares = np.exp(weights - weights.max())
    mix = {
        "weights": weights,
        "shares": shares / shares.sum(),
        "scale": np.asarray(arrays.get(MIX_GAMMA, 1.0), np.float64),
    }
    # float32 has seven digits; more would be noise from the conversion.
    return {name: np.round(values, 7).tolist() for name, values in mix.items()}


def _read_of_a_token(shape: Mapping[str, Any]) -> str:
    if not shape["char_dim"]:
        return f"whole tokens, {shape['n_words']:,} of which it knows"
    of_what = "characters" if "n_words" in shape else "bytes"
    # The others are the token's ends.
    return f"the first {shape['max_characters_per_token'] - 2} {of_what} of a token"


def size_on_disk(path: Path) -> int:
    """The bytes of a file, of a directory or of the checkpoint of an index."""
    files = [*path.rglob("*")] if path.is_dir() else [path]
    if path.suffix == ".index":
        files = [*path.parent.glob(f"{glob.escape(path.stem)}.*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def _kind(path: Path) -> str:
    from keras_elmo.hub.bilm_checkpoint import find_checkpoint
    from keras_elmo.hub.tf_hub import is_tf_hub_module
    from keras_elmo.weights.manylangs import is_manylangs
    from keras_elmo.weights.sources import has_weights

    if is_tf_hub_module(path):
        return "TF1 Hub module"
    if path.suffix.lower() == ".zip":
        return "zip archive"
    if path.is_dir() and is_manylangs(file.name for file in path.iterdir()):
        return "ELMoForManyLangs"
    if not has_weights(path) and find_checkpoint(path) is not None:
        return "checkpoint of bilm-tf"
    return "HDF5"


def _parameters(config: ElmoConfig) -> dict[str, int]:
    """The number of parameters of each stage, and of all together."""
    counts = dict.fromkeys(_STAGES.values(), 0)
    if not config.word_dim:
        del counts["word_embedding"]
    for name, shape in config.array_shapes().items():
        counts[_STAGES[name.split("/")[0].rstrip("_0123456789")]] += math.prod(shape)
    return {**counts, "total": sum(counts.values())}


def _print(found: Mapping[str, Any]) -> None:
    """First what everybody asks, then all the rest."""
    from rich.filesize import decimal

    shape, named = found["configuration"], found["named_model"] or {}
    n_parameters = found["parameters"]["total"]
    sections: dict[str, Mapping[str, Any]] = {
        found["source"]: {
            "size": decimal(found["bytes"]),
            "parameters": f"{n_parameters / 1e6:,.1f} million"
            if n_parameters >= 1e6
            else f"{n_parameters:,}",
            "vectors": f"{found['output_dim']} numbers for each token, from "
            f"{counted(shape['n_layers'], 'LSTM layer')}",
            "language": named.get("language", "not in the files"),
            "license": named.get("license", "not in the files: check with the authors"),
            "limits": f"{_read_of_a_token(shape)}; any number of tokens",
            "to load it": f"keras_elmo.ElmoEmbeddingLayer({found['source']!r})",
        },
        "Files": {
            "kind": found["kind"],
            "path": found["path"] + " (downloaded)" * found["downloaded"],
        },
        "Release": {
            key: named[key]
            for key in ("version", "origin", "description", "citation")
            if named.get(key)
        },
        "Configuration": {
            **shape,
            "filters": ", ".join(f"{n} of width {width}" for width, n in shape["filters"]),
            "output_dim": found["output_dim"],
        },
        "Parameters": {name: f"{count:,}" for name, count in found["parameters"].items()},
        "Scalar mix": found["scalar_mix"]
        or {"none": "a layer starts with equal shares and the scale 1"},
    }
    for i, (title, rows) in enumerate(sections.items()):
        if rows:
            print("\n" * bool(i), end="")
            print_rows({name: _value(value) for name, value in rows.items()}, title)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{number:g}" for number in value)
    return "none" if value is None else str(value)
