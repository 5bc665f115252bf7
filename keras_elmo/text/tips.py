"""Warns about sentences that are probably in another form than the layer expects."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from keras_elmo.errors import InputTip
from keras_elmo.types import Split

# Only the start of the first sentences is checked.
_SENTENCES, _BYTES = 8, 1000

_MARKS_AFTER_WORDS = re.compile(rb"[A-Za-z\x80-\xff]{2}[.,;:!?]+(?!\S)")
_MARKS_APART = re.compile(rb"(?<!\S)[.,;:!?]+(?!\S)")
_NEITHER_SPACE_NOR_MARK = rb"[^\s!-/:-@\[-`{-~]"

_given: set[str] = set()


def give_tips(sentences: Sequence[bytes], split: Split, most: int, stacklevel: int) -> None:
    """Warns once per process about raw text, and about words of over twice ``most`` bytes.

    ``stacklevel`` counts from the caller.
    """
    sample = b"\n".join(sentence[:_BYTES] for sentence in sentences[:_SENTENCES])
    if split == "space":
        n_after = len(_MARKS_AFTER_WORDS.findall(sample))
        if n_after > max(1, 3 * len(_MARKS_APART.findall(sample))):
            _give(
                "raw text",
                "inputs look like raw text: punctuation marks are attached to words, which "
                "makes them different words. Use split='words', or put spaces around the "
                "marks.",
                stacklevel,
            )
    # Python's regular expressions cannot count further than this.
    if split != "character" and re.search(
        _NEITHER_SPACE_NOR_MARK + b"{%d}" % min(2 * most + 1, _BYTES), sample
    ):
        _give(
            "long words",
            f"inputs: there are words of more than {2 * most} bytes, of which only the "
            f"first {most} are read. Use split='character' for proteins and for text "
            "without spaces between words.",
            stacklevel,
        )


def _give(kind: str, tip: str, stacklevel: int) -> None:
    if kind not in _given:
        _given.add(kind)
        warnings.warn(tip, InputTip, stacklevel=stacklevel + 2)
