"""What the tests of downloads look for."""

from __future__ import annotations

import hashlib
from pathlib import Path


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
