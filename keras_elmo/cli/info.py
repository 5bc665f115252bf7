"""``keras-elmo list`` and ``keras-elmo info``: the models there are, and what one holds."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_elmo.config import ElmoConfig
from keras_elmo.hub.sources import load_source
from keras_elmo.hub.tf_hub import is_tf_hub_module
from keras_elmo.types import Arrays
from keras_elmo.weights import download
from keras_elmo.weights.named_models import MODELS, list_models
from keras_elmo.weights.names import (
    CHAR_EMBEDDING,
    MIX_GAMMA,
    MIX_WEIGHTS,
    array_shapes,
)

# The stage of an array, by the first part of its name; highways are numbered.
_STAGES = {
    CHAR_EMBEDDING: "character_embedding",
    "CNN": "convolutions",
    "CNN_high": "highways",
    "CNN_proj": "projection",
    "RNN": "lstms",
}


def show_models(as_json: bool) -> None:
    """Prints the named models, and which of them are in the cache.

    Args:
        as_json: Whether as JSON.
    """
    models = [
        {**dataclasses.asdict(model), "cached": download.is_cached(model)}
        for model in list_models()
    ]
    if as_json:
        print(json.dumps(models, indent=2))
        return
    print("\n\n".join(_model_text(model) for model in models))
    print(f"\nThe cache is {str(download.cache_directory())!r}.")


def show_source(source: str, as_json: bool) -> None:
    """Prints what a source holds and where it lies.

    Args:
        source: What :func:`~keras_elmo.weights.sources.load_source` takes.
        as_json: Whether as JSON.

    Raises:
        SourceError: It cannot be had or read.
    """
    description = _describe(source)
    print(json.dumps(description, indent=2) if as_json else _source_text(description))


def size_text(n_bytes: int) -> str:
    """A number of bytes as one reads it: ``54.4 MB``, ``1.2 kB``."""
    if n_bytes >= 1_000_000:
        return f"{n_bytes / 1e6:,.1f} MB"
    return f"{n_bytes / 1e3:,.1f} kB"


def mix_of(arrays: Arrays) -> dict[str, Any] | None:
    """The scalar mix among a source's arrays.

    Args:
        arrays: The arrays by name.

    Returns:
        The ``weights`` of the layers, the ``shares`` that softmax makes of them and the
        ``scale``; or None if there is no mix.
    """
    if MIX_WEIGHTS not in arrays:
        return None
    weights = np.asarray(arrays[MIX_WEIGHTS], np.float64)
    shares = np.exp(weights - weights.max())
    return {
        "weights": _rounded(weights),
        "shares": _rounded(shares / shares.sum()),
        "scale": _rounded(arrays.get(MIX_GAMMA, 1.0)),
    }


def size_on_disk(path: Path) -> int:
    """The bytes of a file, or of all files below a directory."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _rounded(values: Any) -> Any:
    # float32 has seven digits; more would be noise from the conversion.
    return np.round(np.asarray(values, np.float64), 7).tolist()


def _describe(source: str) -> dict[str, Any]:
    config, arrays, path = load_source(source)
    named = MODELS.get(source)
    return {
        "source": source,
        "kind": _kind(path),
        "path": str(path.absolute()),
        "downloaded": (named is not None and named.embedded_path is None)
        or "://" in source,
        "bytes": size_on_disk(path),
        "configuration": dataclasses.asdict(config),
        "output_dim": config.output_dim,
        "parameters": _parameters(config),
        "scalar_mix": mix_of(arrays),
        "named_model": None if named is None else dataclasses.asdict(named),
    }


def _kind(path: Path) -> str:
    if is_tf_hub_module(path):
        return "TF1 Hub module"
    return "zip archive" if path.suffix.lower() == ".zip" else "HDF5"


def _parameters(config: ElmoConfig) -> dict[str, int]:
    """The number of parameters of each stage, and of all together."""
    counts = dict.fromkeys(_STAGES.values(), 0)
    for name, shape in array_shapes(config).items():
        counts[_STAGES[name.split("/")[0].rstrip("_0123456789")]] += math.prod(shape)
    return {**counts, "total": sum(counts.values())}


def _source_text(description: Mapping[str, Any]) -> str:
    where = " (downloaded)" if description["downloaded"] else ""
    filters = description["configuration"]["filters"]
    sections = {
        description["source"]: {
            "kind": description["kind"],
            "path": description["path"] + where,
            "size": size_text(description["bytes"]),
        },
        "Configuration": {
            **description["configuration"],
            "filters": ", ".join(f"{count} of width {width}" for width, count in filters),
            "output_dim": description["output_dim"],
        },
        "Parameters": {
            name: f"{count:,}" for name, count in description["parameters"].items()
        },
        "Scalar mix": description["scalar_mix"]
        or {"none": "a layer starts with equal shares and the scale 1"},
    }
    if (named := description["named_model"]) is not None:
        sections["Release"] = {
            key: named[key] for key in ("description", "licence", "citation")
        }
    return "\n\n".join(_section(title, rows) for title, rows in sections.items())


def _section(title: str, rows: Mapping[str, Any]) -> str:
    width = max(map(len, rows)) + 2
    lines = (f"  {name:{width}}{_value_text(value)}" for name, value in rows.items())
    return "\n".join([title, *lines])


def _value_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{number:g}" for number in value)
    return "none" if value is None else str(value)


def _model_text(model: Mapping[str, Any]) -> str:
    size = "size unknown" if model["size"] is None else size_text(model["size"])
    cached = "in the cache" if model["cached"] else "not downloaded"
    if model["weights_url"] is None:
        cached = "in the package"
    lines = [f"{model['name']} ({size}, {cached})"]
    for text in (model["description"] + ".", f"Licence: {model['licence']}"):
        lines += textwrap.wrap(text, 88, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)
