"""Words and punctuation marks of plain text."""

from __future__ import annotations

import re

from keras_elmo.types import Split

# A word may have apostrophes inside; a mark repeated is one token ("...", "!!!").
_TOKEN = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*|([^\w\s]|_)\1*")


def tokenize(text: str) -> list[str]:
    """Splits plain text into words and punctuation marks.

    The layer splits sentences at spaces only. ELMo models were trained on text whose
    punctuation stands apart; ``"mini"`` was trained on text split by this function::

        layer = ElmoEmbeddingLayer("mini", input_mode="tokens")
        layer([tokenize("It isn't bad...")])

    A word is a run of letters and digits, with single apostrophes inside; a mark is
    any other character that is no white space, together with its repetitions.

    Args:
        text: Any text.

    Returns:
        The tokens in order; joined by spaces they are a sentence for the layer.

    Example:
        >>> from keras_elmo import tokenize
        >>> tokenize("It isn't bad... (8/10)")
        ['It', "isn't", 'bad', '...', '(', '8', '/', '10', ')']
    """
    return [match.group() for match in _TOKEN.finditer(text)]


def split_text(text: str, split: Split) -> list[str]:
    """The tokens that the layer makes of a sentence in its graph."""
    if split == "space":
        return [token for token in text.split(" ") if token]
    if split == "words":
        return tokenize(text)
    return [character for character in text if not character.isspace()]
