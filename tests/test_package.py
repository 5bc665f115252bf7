"""The package as a whole: imports cost nothing, Keras finds its classes; versions."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import keras
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import keras_elmo
from keras_elmo.imports import CLASSES
from tests.any_backend import model_of
from tests.processes import run_python

ROOT = Path(__file__).resolve().parents[1]
LARGE = {"h5py", "keras", "numpy", "pooch", "ray", "requests", "tensorflow"}

LOAD = "print(keras.models.load_model({path!r}).layers[-1].get_config()['output_mode'])"


@pytest.fixture(scope="module")
def path(source: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "model.keras"
    model_of(keras_elmo.ElmoEmbeddingLayer(source, "pooled_layers")).save(path)
    return str(path)


def test_nothing_large_is_imported() -> None:
    printed = run_python(f"import sys, keras_elmo; print({LARGE} & {{*sys.modules}})")
    assert printed.strip() == "set()"


@pytest.mark.slow  # a process each
@pytest.mark.parametrize(
    "imports",
    [
        "import keras_elmo; import keras",
        "import keras; import keras_elmo",
        # Keras is imported in the middle of one of our modules.
        "from keras_elmo.layers.scalar_mix import ScalarMix; import keras",
        # Libraries that can do without Keras look for it first.
        "import importlib.util, tensorflow as tf, keras_elmo\n"
        "importlib.util.find_spec('keras')\nkeras = tf.keras",
    ],
)
def test_keras_loads_a_model_after_a_bare_import(imports: str, path: str) -> None:
    printed = run_python(f"{imports}\n{LOAD.format(path=path)}")
    assert printed.strip() == "pooled_layers"


def test_keras_knows_every_registered_class() -> None:
    for module in pkgutil.walk_packages(keras_elmo.__path__, "keras_elmo."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    registered = {
        name.removeprefix("keras_elmo>"): found
        for name, found in keras.saving.get_custom_objects().items()
        if name.startswith("keras_elmo>")
    }
    assert sorted(registered) == sorted(CLASSES)
    for name, module in CLASSES.items():
        found = getattr(importlib.import_module(f"keras_elmo.{module}"), name)
        assert registered[name] is found


def test_names() -> None:
    names: dict[str, object] = {}
    exec("from keras_elmo import *", names)
    assert set(keras_elmo.__all__) <= names.keys()
    assert set(keras_elmo.__all__) <= set(dir(keras_elmo))
    printed = run_python("import keras_elmo; print(keras_elmo.errors.SourceError)")
    assert "class 'keras_elmo.errors.SourceError'" in printed
    with pytest.raises(AttributeError, match="'keras_elmo' has no attribute 'nothing'"):
        _ = keras_elmo.nothing


def test_without_keras(tmp_path: Path) -> None:
    """The finder passes on that there is none."""
    code = (
        "import sys, keras_elmo\n"
        f"sys.path[:] = [{str(tmp_path)!r}]\n"
        "try:\n    import keras\nexcept ModuleNotFoundError as error:\n    print(error)"
    )
    assert run_python(code).strip() == "No module named 'keras'"


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


def test_what_is_imported_is_required() -> None:
    """The package works by itself; so do the tests, with what they import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    own, tests = project["dependencies"], project["optional-dependencies"]["tests"]
    distributions = packages_distributions()
    files = {p: own for p in (ROOT / "keras_elmo").rglob("*.py") if p.name != "sklearn.py"}
    for pattern in (
        "tests/**/*.py",
        "examples/**/*.py",
        "docs/*/*.py",
        "docs/notebooks.py",
    ):
        files.update(dict.fromkeys(ROOT.glob(pattern), own + tests))
    for path, requirements in files.items():
        required = {canonicalize_name(Requirement(each).name) for each in requirements}
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            for name in (each.split(".")[0] for each in names):
                found = set(map(canonicalize_name, distributions.get(name, [])))
                assert not found or found & {*required, "keras-elmo"}, f"{path}: {name}"


def test_every_raises_has_a_match() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises":
                match = {k.arg: k.value for k in node.keywords}.get("match")
                assert match, f"{path}:{node.lineno}"
                pattern = getattr(match, "value", None)  # of a literal
                assert not isinstance(pattern, str) or not re.search(pattern, "x")
