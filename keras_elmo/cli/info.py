"""``keras-elmo info``: what a source holds, and where it is."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_elmo.cli.arguments import DOWNLOADS, add_json, add_source, readable_size

if TYPE_CHECKING:
    from keras_elmo.config import ElmoConfig
    from keras_elmo.types import Arrays

SUMMARY = "describe a model"
DETAILS = DOWNLOADS

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
    add_json(parser)


def run(source: str, as_json: bool) -> None:
    from keras_elmo.hub.sources import load_source
    from keras_elmo.weights.named_models import MODELS

    config, arrays, path = load_source(source)
    named = MODELS.get(source)
    found = {
        "source": source,
        "kind": _kind(path),
        "path": str(path.absolute()),
        "downloaded": (named is not None and named.embedded_path is None)
        or "://" in source,
        "bytes": size_on_disk(path),
        "configuration": _configuration(config),
        "output_dim": config.output_dim,
        "parameters": _parameters(config),
        "scalar_mix": mix_of(arrays),
        "named_model": None if named is None else dataclasses.asdict(named),
    }
    print(json.dumps(found, indent=2) if as_json else _as_text(found))


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


def size_on_disk(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _kind(path: Path) -> str:
    from keras_elmo.hub.tf_hub import is_tf_hub_module
    from keras_elmo.weights.manylangs import is_manylangs

    if is_tf_hub_module(path):
        return "TF1 Hub module"
    if path.suffix.lower() == ".zip":
        return "zip archive"
    is_folder = path.is_dir() and is_manylangs(file.name for file in path.iterdir())
    return "ELMoForManyLangs" if is_folder else "HDF5"


def _parameters(config: ElmoConfig) -> dict[str, int]:
    """The number of parameters of each stage, and of all together."""
    counts = dict.fromkeys(_STAGES.values(), 0)
    if not config.word_dim:
        del counts["word_embedding"]
    for name, shape in config.array_shapes().items():
        counts[_STAGES[name.split("/")[0].rstrip("_0123456789")]] += math.prod(shape)
    return {**counts, "total": sum(counts.values())}


def _as_text(found: Mapping[str, Any]) -> str:
    where = " (downloaded)" if found["downloaded"] else ""
    filters = found["configuration"]["filters"]
    sections = {
        found["source"]: {
            "kind": found["kind"],
            "path": found["path"] + where,
            "size": readable_size(found["bytes"]),
        },
        "Configuration": {
            **found["configuration"],
            "filters": ", ".join(f"{count} of width {width}" for width, count in filters),
            "output_dim": found["output_dim"],
        },
        "Parameters": {name: f"{count:,}" for name, count in found["parameters"].items()},
        "Scalar mix": found["scalar_mix"]
        or {"none": "a layer starts with equal shares and the scale 1"},
    }
    if (named := found["named_model"]) is not None:
        sections["Release"] = {
            key: named[key] for key in ("description", "license", "citation")
        }
    return "\n\n".join(_section(title, rows) for title, rows in sections.items())


def _section(title: str, rows: Mapping[str, Any]) -> str:
    width = max(map(len, rows)) + 2
    lines = (f"  {name:{width}}{_value(value)}" for name, value in rows.items())
    return "\n".join([title, *lines])


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{number:g}" for number in value)
    return "none" if value is None else str(value)
