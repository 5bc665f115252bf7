"""Converts texts in any collection, split or not, to lists of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keras_elmo.text.sources import described, is_missing, items_of, utf8
from keras_elmo.text.tokenization import split_text
from keras_elmo.types import Split

TokenList = list[bytes]

_EXPECTED = (
    "a list, array, column of a table, tensor or generator of strings, or of lists of "
    "tokens"
)


def read_token_lists(
    texts: Any,
    split: Split,
    pad_token: str,
    max_tokens: int | None,
    max_steps: int | None = None,
) -> tuple[Iterator[TokenList], int | None]:
    """The tokens of each text in UTF-8, as in the layer, and the number of texts.

    Strings are split; lists of strings are tokens, without ``""`` and ``pad_token``,
    which ``max_steps`` counts and ``max_tokens`` does not. A generator is read lazily, and
    its number of texts is ``None``.
    """
    values = _values(texts)
    padding = {b"", utf8(pad_token, "pad_token must be a string;")}
    steps = (_tokens(value, i, split)[:max_steps] for i, value in enumerate(values))
    lists = ([token for token in row if token not in padding][:max_tokens] for row in steps)
    return lists, len(values) if hasattr(values, "__len__") else None


def _values(texts: Any) -> Any:
    """The items of a collection, or the generator itself."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(
            f"texts must be {_EXPECTED}; got the single text {texts!r:.100}. Put it into a "
            "list."
        )
    if isinstance(texts, Iterator):
        return texts
    items = items_of(texts)
    if items is None:
        raise TypeError(
            f"texts must be {_EXPECTED}; got {described(texts)}. For files use "
            "keras_elmo.compute_features."
        )
    is_column = tuple(getattr(texts, "shape", ()))[1:] == (1,)  # (n, 1)
    return [text for (text,) in items] if is_column else items


def _tokens(value: Any, i: int, split: Split) -> TokenList:
    expected = f"texts[{i}] must be a string or a list of tokens, which are strings;"
    if isinstance(value, (str, bytes)):
        text = utf8(value, expected).decode("utf-8", "surrogateescape")
        return [t.encode("utf-8", "surrogateescape") for t in split_text(text, split)]
    if is_missing(value):
        raise ValueError(
            f"texts[{i}] is missing ({value!r}). Remove it, or use an empty string."
        )
    tokens = items_of(value)
    # Other values are refused as tokens.
    return [utf8(token, expected) for token in ([value] if tokens is None else tokens)]
