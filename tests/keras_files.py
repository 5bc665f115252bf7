"""Changes in ``.keras`` files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path


def repacked(path: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Copies a file, with each member's content changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            new.writestr(member, change(member.filename, old.read(member)))
    return target
