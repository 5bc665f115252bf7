"""What .ci/check_distributions.py finds in wheels and source distributions."""

from __future__ import annotations

import runpy
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHECK = runpy.run_path(str(ROOT / ".ci/check_distributions.py"))
PACKAGE, AROUND = CHECK["PACKAGE"], CHECK["AROUND"]
WHEEL = PACKAGE | {"keras_elmo/a/b.py", "keras_elmo-1.dist-info/RECORD"}
SDIST = PACKAGE | AROUND | {"tests/corpus/lines.py", "keras_elmo.egg-info/PKG-INFO"}


def test_what_they_should_hold_passes() -> None:
    assert CHECK["problem_of_wheel"](WHEEL) is None
    assert CHECK["problem_of_sdist"](SDIST) is None


@pytest.mark.parametrize(
    "name",
    [
        "tests/test_config.py",
        "keras_elmo/data/oracles.npz",
        "keras_elmo/data/mini/weights.hdf5.part",
        "keras_elmo/__pycache__/config.cpython-311.pyc",
        ".hypothesis/unicode_data",
    ],
)
def test_strangers_in_a_wheel(name: str) -> None:
    assert CHECK["problem_of_wheel"](WHEEL | {name}) == f"also holds ['{name}']"


@pytest.mark.parametrize(
    "name",
    [
        "shared/wnut17/train.txt",
        "tests/data/oracles.npz",
        "tests/__pycache__/config.cpython-311.pyc",
        "tests/.hypothesis/example.txt",
        "docs/_build/html/index.txt",
        "examples/imdb_sentiment_output/history.json",
        "keras_elmo/data/weights.hdf5",
        "notes.md",
    ],
)
def test_strangers_in_a_source_distribution(name: str) -> None:
    assert CHECK["problem_of_sdist"](SDIST | {name}) == f"also holds ['{name}']"


def test_what_is_missing() -> None:
    without = SDIST - {"keras_elmo/py.typed"}
    assert CHECK["problem_of_sdist"](without) == "lacks ['keras_elmo/py.typed']"


def test_files_in_archives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel, sdist = tmp_path / "a.whl", tmp_path / "a.tar.gz"
    with zipfile.ZipFile(wheel, "w") as file:
        for name in WHEEL:
            file.writestr(name, "")
    with tarfile.open(sdist, "w:gz") as file:
        for name in SDIST - {"LICENSE"}:
            file.addfile(tarfile.TarInfo(f"keras_elmo-1/{name}"))
    CHECK["main"]([str(wheel)])
    assert capsys.readouterr().out.startswith(f"{wheel}: {len(WHEEL)} files, ")
    with pytest.raises(SystemExit, match=r"a\.tar\.gz lacks \['LICENSE'\]"):
        CHECK["main"]([str(wheel), str(sdist)])
    with pytest.raises(SystemExit, match=r"a\.whl has .* at most 100 are allowed"):
        CHECK["main"]([str(wheel)], largest=100)


def test_the_lists_are_of_files_that_exist() -> None:
    made = {"PKG-INFO", "setup.cfg"}  # by the build
    missing = [name for name in PACKAGE | AROUND - made if not (ROOT / name).exists()]
    assert not missing
