"""Files and directories that appear under their name only when they are complete."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_elmo.types import PathLike


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Lets its block write a file or directory elsewhere, then gives it its name.

    Args:
        path: The name. A file that has it is replaced, and so is an empty directory by a
            directory. The folder must exist.

    Yields:
        A path of the same name in a new folder next to it, so that no other file is
        overwritten and the last step is a rename. If the block fails, nothing is left.
    """
    target = Path(path)
    prefix = f".{target.name[:50]}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
        written = Path(folder, target.name)
        yield written
        written.replace(target)
