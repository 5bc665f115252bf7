"""Results that outlive a stopped run, as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Results(dict[str, Any]):
    """Results by name, each written to the file when it is set.

    The file's first line holds the settings of the run, which a later run must share.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        super().__init__()
        self.path = path
        text = path.read_text("utf-8") if path.exists() else ""
        text = text[: text.rfind("\n") + 1]  # a stopped run may leave half a line
        first, *lines = map(json.loads, text.splitlines()) if text else [settings]
        for name, value in json.loads(json.dumps(settings)).items():
            if first.get(name) != value:
                raise SystemExit(
                    f"--output: {path} holds results with {name} = {first.get(name)!r}; "
                    f"this run has {value!r}. Choose another file, or delete this one."
                )
        path.write_text(text or json.dumps(settings) + "\n", "utf-8")
        for line in lines:
            super().__setitem__(line["name"], line["result"])

    def __setitem__(self, name: str, result: Any) -> None:
        super().__setitem__(name, result)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, "result": result}) + "\n")
