"""Properties of the package as a whole."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

import keras_elmo

ROOT = Path(__file__).resolve().parents[1]


def test_every_module_imports_and_says_what_it_is() -> None:
    names = [m.name for m in pkgutil.walk_packages(keras_elmo.__path__, "keras_elmo.")]
    for name in names:
        if not name.endswith("__main__"):
            assert importlib.import_module(name).__doc__, name


def test_tensorflow_is_imported_where_it_is_used() -> None:
    for path in (ROOT / "keras_elmo").rglob("*.py"):
        top = ast.parse(path.read_text("utf-8")).body
        names = {a.name for n in top if isinstance(n, ast.Import) for a in n.names}
        assert "tensorflow" not in names, path


def test_the_lowest_versions_tried_are_those_allowed() -> None:
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
