"""Small records next to vectors that were made to do harm, or are of something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from keras_elmo.vectors.store import read_record

DEEP = "[" * 100_000


@pytest.mark.parametrize("content", [DEEP, "[]", "3", '{"a": 1, "a": 1}', "\x00", "{"])
def test_json_that_is_another(tmp_path: Path, content: str) -> None:
    (tmp_path / "out.npy.json").write_text(content)
    with pytest.raises(ValueError, match=r"cannot read '.*out.npy.json'"):
        read_record(tmp_path / "out.npy.json")
