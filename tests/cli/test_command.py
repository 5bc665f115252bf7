"""The command as a whole: its help, and wrong arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_elmo
from keras_elmo.cli.main import main
from tests.cli.runs import Run, names


def test_the_command_as_a_process() -> None:
    root = str(Path(__file__).resolve().parents[2])
    result = subprocess.run(
        [sys.executable, "-m", "keras_elmo.cli.main", "--version"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"keras-elmo {keras_elmo.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "list --help",
        "info --help",
        "verify --help",
        "convert --help",
        "train --help",
        "evaluate --help",
    ],
)
def test_help(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(arguments.split())
    assert "usage: keras-elmo" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("explain x", "invalid choice: 'explain'"),
        ("info", "the following arguments are required: SOURCE"),
        ("convert x", "the following arguments are required: OUT"),
        ("convert x y --to pickle", "invalid choice: 'pickle'"),
        ("convert x y --to keras --output-mode all", "invalid choice: 'all'"),
        ("convert x y.zip", "the suffix of 'y.zip' does not tell the format: add --to"),
        ("convert x y --to keras", "--to keras does not fit 'y'"),
        ("convert x y.keras --to hdf5", "--to hdf5 does not fit 'y.keras'"),
        ("convert x y --output-mode elmo", "HDF5 holds a model for every mode"),
        ("convert x y --input-mode tokens", "HDF5 holds a model for every mode"),
        ("convert x .", "OUT must end in the name of a file or directory; got '.'"),
        ("verify x --json --quiet", "not allowed with argument"),
    ],
)
def test_wrong_arguments(
    arguments: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments.split())
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("usage: keras-elmo")
    assert names(folder) == []


@pytest.mark.parametrize("arguments", [["info"], ["verify"], ["convert"]])
def test_a_missing_source(arguments: list[str], folder: Path, run: Run) -> None:
    out = ["out"] if arguments == ["convert"] else []
    code, printed, error = run(*arguments, "nowhere", *out)
    assert (code, printed) == (1, "")
    assert error.startswith("keras-elmo: error: source 'nowhere': there is no file")
    assert error.count("\n") == 1
    assert names(folder) == []
