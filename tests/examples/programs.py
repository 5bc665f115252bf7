"""Examples as their users run them, and their parts as modules."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def run_example(script: str, *arguments: object, folder: Path) -> str:
    """Runs ``examples/<script>`` in a folder, and returns what it prints."""
    settings = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"}
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / script, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def load_example(name: str) -> ModuleType:
    """Imports ``examples/<folder>/<name>.py`` as its neighbours import it."""
    folder, _, module = name.rpartition("/")
    sys.path.insert(0, str(ROOT / "examples" / folder))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.pop(0)
