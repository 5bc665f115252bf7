"""Runs the example."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

SENTENCE = "a warm and clever film"

QUICK = ["--epochs", "2", "--batch-size", "8", "--words", "20"]


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run of the program left behind."""

    text: str
    folder: Path

    @property
    def history(self) -> dict[str, Any]:
        return json.loads((self.folder / "history.json").read_text("utf-8"))

    def number(self, pattern: str) -> float:
        found = re.search(pattern, self.text)
        assert found, f"{pattern!r} is not in:\n{self.text}"
        return float(found[1].replace(",", ""))


class StartRun:
    """Runs the program in this process."""

    def __init__(self, example: ModuleType, source: str, folder: Path, capsys: Any) -> None:
        self.main = example.main
        self.source = source
        self.folder = folder
        self.capsys = capsys

    def __call__(self, *args: object, source: str | None = None, to: str = "out") -> Run:
        folder = self.folder / to
        argv = ["--source", source or self.source, "--output", str(folder), *QUICK]
        assert self.main([*argv, *map(str, args)]) == 0
        return Run(self.capsys.readouterr().out, folder)
