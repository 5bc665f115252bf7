"""The names of a file that takes long to fill, and of what stands beside it."""

from __future__ import annotations

import os
from pathlib import Path

# Files with these behind the name of a file are written and deleted while it is made.
SUFFIXES_BESIDE = (
    *(".part", ".part2", ".lock"),
    *(".json", ".json.part"),
    *(".offsets.npy", ".offsets.npy.part"),
    *(".sentences.jsonl", ".sentences.jsonl.part"),
)


def check_directory(path: Path) -> None:
    """Checks that there is a directory for a file.

    Raises:
        FileNotFoundError: There is none.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path: there is no directory {str(path.parent)!r}. Make it first."
        )


def check_name(path: Path) -> None:
    """Checks that the names of the files beside a file are not too long.

    Raises:
        ValueError: They are; the work would be lost at its end.
    """
    longest = len(os.fsencode(path.name)) + max(map(len, SUFFIXES_BESIDE))
    try:
        limit = os.pathconf(path.parent, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return  # Not every system tells.
    if longest > limit:
        raise ValueError(
            f"path: the name {path.name!r:.200} is too long by {longest - limit} bytes: "
            "names of files beside it begin with it. Choose a shorter one."
        )


def check_apart(path: Path, source: Path) -> None:
    """Checks that what a file is made from is none of the files that are written.

    Raises:
        ValueError: It is, and would be written over.
    """
    for suffix in SUFFIXES_BESIDE:
        beside = path.with_name(path.name + suffix)
        if beside.exists() and beside.samefile(source):
            raise ValueError(
                f"path: {str(path)!r} would write over {str(source)!r}: a file of that "
                "name is made beside it. Give one of them another name."
            )
