"""The vocabulary of a model of words: a file with one word a line, as bilm-tf's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from keras_elmo.text.lexicon import Lexicon
from keras_elmo.text.lines import read_lines

WORDS_NAME = "vocabulary.txt"

LARGEST_WORDS = 1 << 26  # bytes; a million words have about 10 MB
MOST_WORDS = 1 << 22  # that of the 1 Billion Word Benchmark has 800,000


def needs_words(options: Any) -> bool:
    """Whether an ``options.json`` is that of a model of words alone."""
    return (
        isinstance(options, Mapping)
        and "n_tokens_vocab" in options
        and not options.keys() & {"char_cnn", "lexicon"}
    )


def is_word_list(name: str) -> bool:
    """Whether a file is a vocabulary by its name, such as ``vocab-2016-09-10.txt``."""
    base = PureWindowsPath(name).name.lower()
    if "vocab" not in base or base.startswith("."):
        return False
    return base.endswith((".txt", ".txt.gz")) or "." not in base


def word_lists(folder: Path) -> list[Path]:
    """The vocabularies in a folder; the one with our name goes before all others."""
    found = [path for path in sorted(folder.iterdir()) if is_word_list(path.name)]
    found = [path for path in found if path.is_file()]
    return [path for path in found if path.name == WORDS_NAME] or found


def read_word_list(folder: Path) -> Lexicon:
    """Reads the only vocabulary in a folder, or raises ``ValueError`` or ``OSError``."""
    found = word_lists(folder)
    if len(found) != 1:
        listed = f" ({', '.join(path.name for path in found)})" if found else ""
        raise ValueError(
            "they are those of a model of words, whose vocabulary, a file such as "
            f"{WORDS_NAME} with one word a line, must be next to them; found "
            f"{len(found)}{listed}."
        )
    return Lexicon(read_words(found[0]))


def read_words(path: Path) -> tuple[str, ...]:
    """Reads one word per line, plain or gzip, or raises ``ValueError`` or ``OSError``."""
    n_bytes = path.stat().st_size
    if n_bytes > LARGEST_WORDS:
        raise ValueError(f"{path.name!r} has more than {LARGEST_WORDS:,} bytes.")
    # A word and its line end take two bytes; in gzip, words that differ take more.
    most = min(MOST_WORDS, n_bytes // 2 + 1)
    lines = itertools.islice(read_lines(path), most + 1)
    words = [line.data.decode("utf-8").strip() for line in lines]
    if len(words) > most:
        raise ValueError(f"{path.name!r} has more than {most:,} words for its size.")
    # In the vocabulary of the 1 Billion Word Benchmark, that marks the end of the list.
    return tuple(word for word in words if word != "!!!MAXTERMID")


def largest_in_archive(n_bytes: int) -> int:
    """The most bytes of a list in an archive of this size, most of which are weights."""
    return min(LARGEST_WORDS, max(n_bytes, 1 << 20))


def write_word_list(path: Path, lexicon: Lexicon) -> None:
    path.write_bytes("".join(f"{word}\n" for word in lexicon.words).encode("utf-8"))
