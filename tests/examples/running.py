"""Runs examples as users do, and makes the tiny data that they run on."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"

# Six words give the label of a review away.
WORDS = {"pos": ("warm", "clever", "lovely"), "neg": ("dull", "clumsy", "boring")}


def run(
    script: str, *arguments: object, status: int = 0, folder: Path | None = None
) -> str:
    """Runs a script of ``examples/`` and returns what it prints, or its error message."""
    settings = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == status, result.stderr
    return result.stderr if status else result.stdout


def load_example(name: str) -> ModuleType:
    """Imports ``examples/<folder>/<name>.py`` as its neighbours import it."""
    folder, _, module = name.rpartition("/")
    sys.path.insert(0, str(ROOT / "examples" / folder))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.pop(0)


def number(pattern: str, printed: str) -> float:
    """The number that a pattern has as its group."""
    found = re.search(pattern, printed, re.MULTILINE)
    assert found, f"{pattern!r} is not in:\n{printed}"
    return float(found[1].replace(",", ""))


def write_imdb(folder: Path, n_reviews: int = 30) -> Path:
    """Writes a tiny copy of the IMDB reviews, so many in each folder, as a directory."""
    for part in ("train", "test"):
        for label, words in {**WORDS, "unsup": ("odd", "old", "new")}.items():
            (folder / part / label).mkdir(parents=True)
            for i in range(n_reviews):
                text = f"{words[i % 3]} {words[i % 2]}<br />film {i}." + " and" * (i % 4)
                path = folder / part / label / f"{i}_1.txt"
                path.write_text(text, encoding="utf-8")
    return folder
