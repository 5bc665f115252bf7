"""What tests of sources ask again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_elmo.hub.sources import load_source
from tests.tiny_models import TINY, random_arrays


def assert_loads(source: Any, options: Any = None) -> Path:
    """A source holds the tiny model; returns where it lies."""
    config, arrays, path = load_source(source, options=options)
    assert config == TINY
    for name, expected in random_arrays(TINY).items():
        np.testing.assert_array_equal(arrays[name], expected)
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by their names in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def changed(content: bytes, place: int, bits: int = 1) -> bytes:
    """The content with other bits at one place."""
    result = bytearray(content)
    result[place] ^= bits
    return bytes(result)
