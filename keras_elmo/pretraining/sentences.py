"""Reading sentences from text files."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_elmo.types import PathLike

SHUFFLE_BUFFER = 100_000  # sentences


def expand_paths(patterns: Sequence[PathLike]) -> list[str]:
    """The files that ``patterns`` name, sorted, each once.

    Args:
        patterns: Files, directories (all ``*.txt`` and ``*.txt.gz`` in them) or patterns
            such as ``"news/part-*.txt"``.

    Returns:
        The paths.

    Raises:
        FileNotFoundError: One of ``patterns`` names no file.
    """
    paths: dict[Path, str] = {}  # by what they lead to
    for pattern in map(str, patterns):
        if Path(pattern).is_dir():
            named = [p for end in ("txt", "txt.gz") for p in Path(pattern).glob(f"*.{end}")]
        elif Path(pattern).is_file():
            named = [Path(pattern)]
        else:
            # Path.glob refuses absolute patterns.
            named = [Path(path) for path in glob.glob(pattern)]  # noqa: PTH207
        found = {path.resolve(): str(path) for path in named if path.is_file()}
        if not found:
            raise FileNotFoundError(
                f"There is no text file {pattern!r}. Give a text file, a directory with "
                "*.txt or *.txt.gz files, or a pattern that matches some."
            )
        paths |= found
    return sorted(paths.values())


def read_sentences(
    paths: Sequence[PathLike], shuffle_seed: int | None = None
) -> Iterator[list[str]]:
    """Reads sentences, one in a line, their words separated by white space.

    Args:
        paths: Text files in UTF-8; those that end in ``.gz`` are decompressed.
        shuffle_seed: Shuffles the files and, within a buffer of 100,000, the sentences;
            equal seeds give equal orders if TensorFlow's global seed is equal too.
            ``None`` keeps the files' order.

    Yields:
        The words of each sentence. Lines without words are left out. What is not UTF-8
        becomes replacement characters.

    Raises:
        ValueError: A file cannot be read or decompressed.
    """
    import tensorflow as tf

    files = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    if shuffle_seed is not None:
        files = files.shuffle(len(paths), seed=shuffle_seed)

    def lines(path: tf.Tensor) -> tf.data.Dataset:
        zipped = tf.strings.regex_full_match(path, r".*\.gz")
        return tf.data.TextLineDataset(path, tf.where(zipped, "GZIP", ""))

    if shuffle_seed is None:
        dataset = files.flat_map(lines)
    else:
        # Several files at once: a shard holds what is alike.
        dataset = files.interleave(lines, cycle_length=min(16, len(paths)))
        dataset = dataset.shuffle(SHUFFLE_BUFFER, seed=shuffle_seed)
    for line in _read(dataset, paths):
        words = line.decode("utf-8", "replace").split()
        if words:
            yield words


def _read(dataset: Any, paths: Sequence[PathLike]) -> Iterator[bytes]:
    """The lines of files, or one kind of error."""
    import tensorflow as tf

    try:
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError as error:
        listed = ", ".join(repr(str(path)) for path in paths)
        raise ValueError(
            f"texts: cannot read {listed:.500} ({error.message:.300}). A file is damaged, "
            "or no gzip file: get it again."
        ) from error
