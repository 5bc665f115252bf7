"""Checks what is in a wheel and a source distribution, and nothing else.

The wheel holds the package with its data. The source distribution also holds what builds,
tests and documents it; neither holds caches, outputs of programs or data from elsewhere.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

LARGEST = 20_000_000  # bytes
MINI = ("README.md", "options.json", "softmax.npz", "vocabulary.txt", "weights.hdf5")
PACKAGE = {
    "keras_elmo/__init__.py",
    "keras_elmo/py.typed",
    "keras_elmo/data/reviews.tsv",
    *(f"keras_elmo/data/mini/{name}" for name in MINI),
}
AROUND = {
    *(".ci/backends", ".ci/lowest.txt", ".ci/run", ".ci/smoke_test.py"),
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in"),
    *("PKG-INFO", "README.md", "SECURITY.md", "pyproject.toml", "setup.cfg", "tox.ini"),
    *("docs/conf.py", "docs/index.md", "examples/imdb_sentiment.py"),
    *("tests/conftest.py", "tests/public_api.txt", "tests/test_package.py"),
}
FOLDERS = {".ci", "docs", "examples", "tests"}
SUFFIXES = {".csv", ".ipynb", ".json", ".md", ".png", ".py", ".txt"}
# Caches, what programs and builds write, and whatever hides.
LEFT_BY_PROGRAMS = re.compile(r"\.(?!ci$)|__pycache__$|_build$|.*_output$|imdb_fine_tuned$")


def problem_of_wheel(names: set[str]) -> str | None:
    """What is wrong with a wheel of these files."""
    kept = re.compile(r"keras_elmo/.+\.py|keras_elmo-[^/]+\.dist-info/.+")
    return _problem(names, PACKAGE, lambda name: bool(kept.fullmatch(name)))


def problem_of_sdist(names: set[str]) -> str | None:
    """The same of a source distribution; names without the folder that holds all."""
    return _problem(names, PACKAGE | AROUND, _in_sdist)


def _in_sdist(name: str) -> bool:
    path = PurePosixPath(name)
    if any(LEFT_BY_PROGRAMS.match(part) for part in path.parts):
        return False
    if path.parts[0] in FOLDERS:
        return path.suffix in SUFFIXES
    return path.parts[0] == "keras_elmo.egg-info" or (
        path.parts[0] == "keras_elmo" and path.suffix == ".py"
    )


def _problem(names: set[str], wanted: set[str], kept: Callable[[str], bool]) -> str | None:
    if missing := wanted - names:
        return f"lacks {sorted(missing)}"
    if strangers := sorted(name for name in names - wanted if not kept(name)):
        return f"also holds {strangers}"
    return None


def names_in_wheel(path: Path) -> set[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        return set(wheel.namelist())


def names_in_sdist(path: Path) -> set[str]:
    """The files of a source distribution, without the folder that holds all."""
    with tarfile.open(path) as sdist:
        return {m.name.partition("/")[2] for m in sdist if not m.isdir()}


def main(paths: list[str], largest: int = LARGEST) -> None:
    """Ends with a message if one of the files is not as it should be."""
    for path in map(Path, paths):
        if path.suffix == ".whl":
            names = names_in_wheel(path)
            problem = problem_of_wheel(names)
        else:
            names = names_in_sdist(path)
            problem = problem_of_sdist(names)
        size = path.stat().st_size
        if size > largest:
            problem = f"has {size:,} bytes; at most {largest:,} are allowed"
        if problem:
            sys.exit(f"{path} {problem}")
        print(f"{path}: {len(names)} files, {size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
