"""The sentences of text files as lists of words, in order or shuffled."""

from __future__ import annotations

import glob
import random
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from keras_elmo.text import reader
from keras_elmo.text.reader import OnError
from keras_elmo.types import PathLike, Split, check_integer

SHUFFLE_BUFFER = 100_000  # sentences
FILES_AT_ONCE = 16


def expand_paths(patterns: Sequence[PathLike]) -> list[str]:
    """Expands patterns to sorted paths of files, each once.

    Args:
        patterns: Files, directories (all ``*.txt`` and ``*.txt.gz`` in them) or patterns
            such as ``"news/part-*.txt"``.

    Returns:
        The paths, sorted.

    Raises:
        FileNotFoundError: A pattern matches no file.
    """
    paths: dict[Path, str] = {}  # by resolved path
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
                f"There is no text file {pattern!r}. Pass a text file, a directory with "
                "*.txt or *.txt.gz files, or a pattern that matches some."
            )
        paths |= found
    return sorted(paths.values())


def read_sentences(
    paths: Sequence[PathLike],
    shuffle_seed: int | None = None,
    on_error: OnError = "fail",
    split: Split | None = None,
    input_format: str | None = None,
    column: str | None = None,
) -> Iterator[list[str]]:
    """Reads sentences, one per line of a text file.

    Args:
        paths: Text files in UTF-8, plain or compressed with gzip; or files of another
            format that :func:`~keras_elmo.compute_features` reads.
        shuffle_seed: The seed for shuffling the files and, within a buffer of 100,000, the
            sentences of 16 files at a time. ``None`` keeps the order.
        on_error: What to do with bad lines, which are not UTF-8 or longer than 16 MiB:
            ``"fail"``, ``"repair"`` or ``"skip"``, as in
            :func:`~keras_elmo.compute_features`.
        split: How lines are split into words: ``"space"``, at white space; ``"words"``,
            with :func:`~keras_elmo.tokenize`; or ``"character"``. ``None`` for white space,
            and for characters in FASTA. Words of CoNLL are not split.
        input_format: The format of the files, as in :func:`~keras_elmo.compute_features`.
        column: The field or column of the text, as in :func:`~keras_elmo.compute_features`.

    Yields:
        The words of each sentence. Lines without words are skipped.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: There are bad lines (:class:`~keras_elmo.errors.BadLinesError`), or a
            file cannot be decompressed.
    """
    files = [Path(path) for path in paths]
    options: dict[str, Any] = {"on_error": on_error, "split": split}
    options |= {"input_format": input_format, "column": column}
    if shuffle_seed is None:
        yield from _words(files, options)
        return
    rng = random.Random(check_integer("shuffle_seed", shuffle_seed, at_least=0))
    rng.shuffle(files)
    # Several files at a time, since the lines of one file are often similar.
    buffer: list[list[str]] = []
    for words in _alternating([_words([file], options) for file in files]):
        buffer.append(words)
        if len(buffer) > SHUFFLE_BUFFER:
            i = rng.randrange(len(buffer))
            buffer[i], buffer[-1] = buffer[-1], buffer[i]
            yield buffer.pop()
    rng.shuffle(buffer)
    yield from buffer


def _words(files: Sequence[Path], options: dict[str, Any]) -> Iterator[list[str]]:
    for sentence in reader.read_sentences(files, **options):
        if sentence.n_tokens:
            yield sentence.tokens.decode("utf-8").split(" ")


def _alternating(files: list[Iterator[list[str]]]) -> Iterator[list[str]]:
    """Sentences of the first files alternately; the next file replaces a finished one."""
    is_open, waiting = deque(files[:FILES_AT_ONCE]), iter(files[FILES_AT_ONCE:])
    while is_open:
        file = is_open.popleft()
        words = next(file, None)
        if words is None:
            is_open.extend(islice(waiting, 1))
        else:
            yield words
            is_open.append(file)
