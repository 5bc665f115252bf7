"""The folders of the package by floors, and who imports whom."""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pictures.canvas import BLUE, Canvas

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "keras_elmo"
ENTRANCES = {"__init__", "__main__", "imports"}  # start others; nothing is computed there
COLUMNS = {"training": 0, "pretraining": 2, "layers": 0, "weights": 2, "backends": 0}
COLUMNS |= {"types": 0, "errors": 2, "onnx": 0, "elmo_embedding_layer": 0}
WIDTH, HEIGHT, PITCH = 9.8, 2.3, 3.4  # of a box, and from floor to floor
STEP = WIDTH + 1  # from column to column


def floors() -> list[list[str]]:
    """What the layers of pyproject.toml hold, from the top down."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    split = [layer.replace(":", "|").split("|") for layer in layers]
    rows = [[x.strip() for x in row if x.strip() not in ENTRANCES] for row in split]
    return [row for row in rows if row]


def imports() -> dict[str, set[str]]:
    """Which parts of the package a part imports when it runs."""
    found: dict[str, set[str]] = {name: set() for row in floors() for name in row}
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part in found:
            used = found.keys() & _imported(ast.parse(path.read_text("utf-8")))
            found[part] |= used - {part}
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.ImportFrom) and node.module:
        package, *parts = node.module.split(".")
        if package == PACKAGE.name:
            yield from parts[:1] or [name.name for name in node.names]
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)


def arrows() -> set[tuple[str, str]]:
    """The imports that no other imports lead to: from a part to one below it."""
    direct = imports()

    def below(part: str) -> set[str]:
        return direct[part].union(*map(below, direct[part]))

    return {
        (part, used)
        for part, all_used in direct.items()
        for used in all_used - set().union(*map(below, all_used))
    }


def house() -> Canvas:
    """A box for each part, on its floor, with the first line of its docstring."""
    rows = floors()
    canvas = Canvas(3 * STEP - 0.6, PITCH * len(rows) - 0.6)
    places = {
        name: (0.2 + STEP * COLUMNS.get(name, 1), 0.2 + PITCH * floor)
        for floor, row in enumerate(rows)
        for name in row
    }
    for start, end in sorted(arrows()):
        (x0, y0), (x1, y1) = places[start], places[end]
        aside = 0.2 * (x1 - x0)  # arrows from both sides stay apart
        middle = WIDTH / 2
        canvas.arrow((x0 + middle + aside, y0 + HEIGHT), (x1 + middle - aside, y1))
    for name, (x, y) in places.items():
        is_folder = (PACKAGE / name).is_dir()
        path = PACKAGE / name / "__init__.py" if is_folder else PACKAGE / f"{name}.py"
        summary = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        summary = re.sub(r":\w+:|`", "", summary.split("\n\n")[0].rstrip("."))
        title = f"{name}/" if is_folder else f"{name}.py"
        canvas.box(x, y, WIDTH, HEIGHT, fill=BLUE, rounded=True)
        canvas.text(x + WIDTH / 2, y + 0.55, title, ha="center", weight="bold")
        canvas.text(
            x + WIDTH / 2, y + 1.5, textwrap.fill(summary, 44), ha="center", size=6.5
        )
    return canvas
