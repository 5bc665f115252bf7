"""Sentences to tokens: at spaces, as words and punctuation marks, or as characters.

Python's ``re`` and the RE2 of TensorFlow's graphs split by the same patterns.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from keras_elmo.types import Split

# What str.split splits at, for a graph to replace by spaces.
WHITE_SPACE = "[\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"

_JOINERS = "\u200c\u200d"  # inside words of Persian and of Indian scripts, and in emoji

# "...", "!!!": RE2 has no back-references, so that each mark is named.
_ASCII_MARKS = [c for c in map(chr, range(128)) if not c.isalnum() and not c.isspace()]
_RUNS = "|".join(f"\\x{ord(mark):02x}+" for mark in _ASCII_MARKS)


def tokenize(text: str) -> list[str]:
    """Splits plain text into words and punctuation marks.

    ELMo models were trained on text whose punctuation is separate; ``"mini"`` was trained
    on text split like this. ``ElmoEmbeddingLayer("mini", split="words")`` does it by
    itself; use this function if you need the tokens.

    - A word is a run of letters, digits and their combining marks, in any script, with
      single apostrophes inside.
    - A punctuation mark or control character of ASCII is a token together with its
      repetitions.
    - Every other character is a token, with the combining marks after it.

    White space separates tokens, and is in none. Letters, digits and marks are those of
    Unicode 15.0, whatever the version of Python.

    Args:
        text: Any text.

    Returns:
        The tokens in order; joined by spaces they are a sentence for the layer.

    Example:
        >>> from keras_elmo import tokenize
        >>> tokenize("It isn't bad... (8/10)")
        ['It', "isn't", 'bad', '...', '(', '8', '/', '10', ')']
    """
    return split_text(text, "words")


def split_text(text: str, split: Split) -> list[str]:
    """The tokens that the layer makes of a sentence in its graph."""
    if split == "space":
        return [token for token in text.split(" ") if token]
    find = _python_pattern(split).findall
    return [token for piece in text.split() for token in find(piece)]


def re2_pattern(split: Split) -> str:
    r"""Finds the tokens of ``"words"`` or ``"character"`` where spaces are all white space.

    A byte that is not UTF-8 is a token, which RE2 calls ``\C``, as it calls spaces here.
    """
    return _pattern(split, r"[^ \x{d800}-\x{dfff}]", r"\C")


@cache
def _python_pattern(split: Split) -> re.Pattern[str]:
    # A lone surrogate stands for a byte that is not UTF-8 ("surrogateescape").
    return re.compile(_pattern(split, "[^\ud800-\udfff]", "."))


def _pattern(split: Split, character: str, anything: str) -> str:
    if split == "character":
        return f"{character}|{anything}"
    word, mark = (f"[{ranges}{_JOINERS}]" for ranges in _word_characters())
    words = f"{word}+(?:['\u2019]{word}+)*"
    return f"{words}|(?:{_RUNS}|{character}){mark}*|{anything}"


@cache
def _word_characters() -> list[str]:
    """Ranges of the letters, marks and digits of Unicode 15.0, and of the marks alone.

    From a table, since Python and RE2 each have those of another version of Unicode.
    """
    file = resources.files("keras_elmo") / "data" / "word_characters.txt"
    return [
        "".join("-".join(chr(int(end, 16)) for end in r.split("-")) for r in line.split())
        for line in file.read_text(encoding="ascii").splitlines()
    ]
