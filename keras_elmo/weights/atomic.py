"""Files and directories that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_elmo.types import PathLike


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """A path to write, renamed to ``path`` at the end; removed if the block fails."""
    target = Path(path)
    prefix = f".{target.name[:50]}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as folder:
        written = Path(folder, target.name)
        yield written
        written.replace(target)


def reserve(path: PathLike, n_bytes: int) -> None:
    """Reserves disk space for a file of ``n_bytes``."""
    if not hasattr(os, "posix_fallocate"):
        return
    with Path(path).open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            # Not every file system can reserve space.
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise OSError(error.errno, error.strerror, str(path)) from error
