"""Splits sentences at spaces, into words and punctuation marks, or into characters.

Python's ``re`` and TensorFlow's RE2 use the same patterns.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from keras_elmo.types import Split

# The characters at which str.split splits; graphs replace them with spaces.
WHITE_SPACE = "[\t-\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"

_JOINERS = "\u200c\u200d"  # inside words of Persian and of Indian scripts, and in emoji

# "...", "!!!": RE2 has no back-references, so list each mark.
_ASCII_MARKS = [c for c in map(chr, range(128)) if not c.isalnum() and not c.isspace()]
_RUNS = "|".join(f"\\x{ord(mark):02x}+" for mark in _ASCII_MARKS)


def tokenize(text: str) -> list[str]:
    """Splits plain text into words and punctuation marks.

    ELMo models were trained on text with separate punctuation marks; ``"mini"`` was trained
    on text split like this. ``ElmoEmbeddingLayer("mini", split="words")`` splits in the
    same way; use this function if you need the tokens.

    - A word is a run of letters, digits and their combining marks, in any script, with
      single apostrophes inside.
    - An ASCII punctuation mark or control character is a token, with its repetitions.
    - Every other character is a token, with the combining marks after it.

    White space separates tokens. Letters, digits and marks are those of Unicode 15.0 in
    every version of Python.

    Args:
        text: Any text.

    Returns:
        The tokens in order. Join them with spaces for the layer.

    Example:
        >>> from keras_elmo import tokenize
        >>> tokenize("It isn't bad... (8/10)")
        ['It', "isn't", 'bad', '...', '(', '8', '/', '10', ')']
    """
    return split_text(text, "words")


def split_text(text: str, split: Split) -> list[str]:
    """The tokens of a sentence, as the layer splits it in its graph."""
    if split == "space":
        return [token for token in text.split(" ") if token]
    find = _python_pattern(split).findall
    return [token for piece in text.split() for token in find(piece)]


def re2_pattern(split: Split) -> str:
    r"""Matches the tokens of ``"words"`` or ``"character"`` if spaces are all white space.

    A byte that is not UTF-8 is a token: RE2's ``\C``, which also matches spaces here.
    """
    return _pattern(split, r"[^ \x{d800}-\x{dfff}]", r"\C")


@cache
def _python_pattern(split: Split) -> re.Pattern[str]:
    # A lone surrogate represents a byte that is not UTF-8 ("surrogateescape").
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

    Read from a table, because Python and RE2 have different versions of Unicode.
    """
    file = resources.files("keras_elmo") / "data" / "word_characters.txt"
    return [
        "".join("-".join(chr(int(end, 16)) for end in r.split("-")) for r in line.split())
        for line in file.read_text(encoding="ascii").splitlines()
    ]
