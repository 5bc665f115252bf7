"""What holds for the package as a whole."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import keras_elmo
from tests.processes import run_python

ROOT = Path(__file__).resolve().parents[1]


def test_import_leaves_large_packages_alone() -> None:
    printed = run_python(
        "import sys, keras_elmo; print({'tensorflow_hub', 'ray'} & {*sys.modules})"
    )
    assert printed.strip() == "set()"


def test_every_module_imports() -> None:
    names = [m.name for m in pkgutil.walk_packages(keras_elmo.__path__, "keras_elmo.")]
    assert len(names) > 20
    for name in names:
        assert importlib.import_module(name).__doc__, name


@pytest.mark.parametrize("module", ["layers", "weights"])
def test_each_side_knows_its_own(module: str) -> None:
    """Layers never import weights; readers never import Keras."""
    forbidden = {"layers": "keras_elmo.weights", "weights": "keras"}[module]
    for path in (ROOT / "keras_elmo" / module).glob("*.py"):
        if path.name == "assign.py":  # where the two meet
            continue
        imported = _imported(path)
        assert not {i for i in imported if i == forbidden or i.startswith(f"{forbidden}.")}


def test_numeric_layers_do_not_import_tensorflow_at_the_top() -> None:
    for path in (ROOT / "keras_elmo").rglob("*.py"):
        top = ast.parse(path.read_text("utf-8")).body
        names = {a.name for n in top if isinstance(n, ast.Import) for a in n.names}
        assert "tensorflow" not in names, path


def test_the_lowest_versions_that_are_tried_are_those_that_are_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    allowed = {
        requirement.name: Version(specifier.version)
        for requirement in map(Requirement, project["dependencies"])
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }
    lines = (ROOT / ".ci/lowest.txt").read_text("utf-8").splitlines()
    tried = [line.split("==") for line in lines if not line.startswith("#")]
    assert {name: Version(version) for name, version in tried} == allowed


def test_every_raises_has_a_match() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
                assert any(k.arg == "match" for k in node.keywords), f"{path}:{node.lineno}"


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names
