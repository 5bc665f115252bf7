"""Checks what is in a wheel: the package with its data, and nothing else."""

from __future__ import annotations

import sys
import zipfile

LARGEST = 20_000_000  # bytes
MINI = {"README.md", "options.json", "softmax.npz", "vocabulary.txt", "weights.hdf5"}
WANTED = {
    "keras_elmo/__init__.py",
    "keras_elmo/py.typed",
    "keras_elmo/data/reviews.tsv",
    *(f"keras_elmo/data/mini/{name}" for name in MINI),
}


def main(path: str) -> None:
    """Ends with a message if the wheel at ``path`` is not as it should be."""
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        size = sum(member.compress_size for member in wheel.infolist())
    if missing := WANTED - names:
        sys.exit(f"{path} lacks {sorted(missing)}")
    strangers = {
        name
        for name in names
        if not name.startswith("keras_elmo") or name.endswith((".pyc", ".hdf5.part"))
    }
    if strangers:
        sys.exit(f"{path} also holds {sorted(strangers)}")
    if size > LARGEST:
        sys.exit(f"{path} has {size:,} bytes; at most {LARGEST:,} are allowed")
    print(f"{path}: {len(names)} files, {size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
