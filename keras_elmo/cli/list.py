"""``keras-elmo list``: the models that can be asked for by name."""

from __future__ import annotations

import argparse
import dataclasses
import json
import textwrap
from collections.abc import Mapping
from typing import Any

from keras_elmo.cli.arguments import add_json, readable_size

SUMMARY = "list the models that can be asked for by name"
DETAILS = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--language", metavar="NAME", help="list only the models of this language"
    )
    add_json(parser)


def run(language: str | None, as_json: bool) -> None:
    from keras_elmo.weights.download import cache_directory, is_cached
    from keras_elmo.weights.named_models import list_models

    models = [
        {**dataclasses.asdict(model), "cached": is_cached(model)}
        for model in list_models(language)
    ]
    if as_json:
        print(json.dumps(models, indent=2))
        return
    print("\n\n".join(_described(model) for model in models))
    print(f"\nThe cache is {str(cache_directory())!r}.")


def _described(model: Mapping[str, Any]) -> str:
    size = "size unknown" if model["size"] is None else readable_size(model["size"])
    cached = "in the cache" if model["cached"] else "not downloaded"
    if model["weights_url"] is None:
        cached = "in the package"
    lines = [f"{model['name']} ({model['language']}, {size}, {cached})"]
    for text in (
        f"{model['description']}.",
        f"From: {model['origin']}",
        f"License: {model['license']}",
    ):
        lines += textwrap.wrap(text, 88, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)
