"""``keras-elmo list``: the models that can be asked for by name."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_elmo.cli.arguments import add_json
from keras_elmo.cli.terminal import console

if TYPE_CHECKING:
    from rich.console import Console

SUMMARY = "list the models that can be asked for by name"
DETAILS = ""
EXAMPLES = ("", "--json")

_WIDTH_OF_TABLES = 80
"""Narrower terminals show a paragraph for each model."""
_WIDTH_OF_ALL = 96
"""Narrower tables leave out what 'info' shows too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--language", metavar="NAME", help="list only the models of this language"
    )
    add_json(parser)


def run(language: str | None, as_json: bool) -> None:
    from rich.filesize import decimal

    from keras_elmo.weights.cache import cache_directory, is_cached
    from keras_elmo.weights.named_models import list_models

    models = [
        {**dataclasses.asdict(model), "cached": is_cached(model)}
        for model in list_models(language)
    ]
    if as_json:
        print(json.dumps(models, indent=2))
        return
    for model in models:
        model["size"] = "unknown" if model["size"] is None else decimal(model["size"])
    shown = console()
    if shown is not None and shown.width >= _WIDTH_OF_TABLES:
        _print_table(shown, models)
    else:
        width = min(88, shutil.get_terminal_size().columns) if shown else 88
        print("\n\n".join(_described(model, width) for model in models))
    print(f"\nThe cache is {str(cache_directory())!r}.")


def _described(model: Mapping[str, Any], width: int) -> str:
    size = "size unknown" if model["size"] == "unknown" else model["size"]
    state = "in the cache" if model["cached"] else "not downloaded"
    if model["weights_url"] is None:
        state = "in the package"
    lines = textwrap.wrap(f"{model['name']} ({model['language']}, {size}, {state})", width)
    for text in (
        f"{model['description']}.",
        f"From: {model['origin']}",
        f"License: {model['license']}",
    ):
        lines += textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def _print_table(shown: Console, models: Sequence[Mapping[str, Any]]) -> None:
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Name", style="cyan", no_wrap=True)
    table.add_column("Language", no_wrap=True)
    numbers = ("Parameters", "Vectors", "Size")[0 if shown.width >= _WIDTH_OF_ALL else 2 :]
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Cached")
    table.add_column("Trained on")
    licenses: dict[str, list[str]] = {}
    for model in models:
        n_parameters = model["n_parameters"]
        values = {
            "Parameters": n_parameters and f"{n_parameters / 1e6:,.1f} M",
            "Vectors": model["output_dim"],
            "Size": model["size"],
        }
        cells = [model["name"], model["language"], *(values[title] for title in numbers)]
        cells += ["yes" if model["cached"] else "no", model["corpus"]]
        table.add_row(*(str(cell or "") for cell in cells))
        licenses.setdefault(model["license"], []).append(model["name"])
    shown.print(table)
    shown.print("\n[bold]Licenses[/]")
    for text, names in licenses.items():
        text = f"[cyan]{', '.join(names)}[/]: {escape(text)}"
        shown.print(Padding(text, (0, 0, 0, 2), expand=False))
    shown.print("\n[bold]To use one[/]")
    shown.print('  keras_elmo.ElmoEmbeddingLayer("NAME")\n  keras-elmo info NAME')
