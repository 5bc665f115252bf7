"""Files and directories that appear under their name only when they are complete."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_elmo.types import PathLike


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """A path of the same name in a new folder next to ``path``, renamed to it at the end.

    What has the name is replaced: a file, or an empty directory by a directory. If the
    block fails, nothing is left.
    """
    target = Path(path)
    prefix = f".{target.name[:50]}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
        written = Path(folder, target.name)
        yield written
        written.replace(target)
