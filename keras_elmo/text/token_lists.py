"""Texts in any collection, split or not, to lists of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keras_elmo.text.sources import is_missing
from keras_elmo.text.tokenization import split_text
from keras_elmo.types import Split

TokenList = list[bytes]

_EXPECTED = (
    "a list, array, column of a table, tensor or generator of strings, or of lists of "
    "tokens"
)


def read_token_lists(
    texts: Any, split: Split, pad_token: str, max_tokens: int | None
) -> tuple[Iterator[TokenList], int | None]:
    """The tokens of each text in UTF-8, as the layer has them, and the number of texts.

    Strings are split; lists of strings are tokens, without ``""`` and ``pad_token``. Of a
    generator, which is read as its texts are needed, the number is ``None``.
    """
    values = _values(texts)
    padding = {b"", pad_token.encode("utf-8", "ignore")}
    lists = (
        [token for token in _tokens(value, i, split) if token not in padding][:max_tokens]
        for i, value in enumerate(values)
    )
    return lists, len(values) if hasattr(values, "__len__") else None


def _values(texts: Any) -> Any:
    """Python's own strings and lists of a collection."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(
            f"texts must be {_EXPECTED}; got the single text {texts!r:.100}. Put it into a "
            "list."
        )
    if isinstance(texts, (list, tuple)):
        return texts
    # Ragged tensors, columns of tables, of Arrow, tables of one column, other tensors.
    for name in ("to_list", "to_pylist", "to_numpy", "numpy"):
        if hasattr(texts, name):
            texts = getattr(texts, name)()
            break
    if hasattr(texts, "tolist"):
        shape, texts = texts.shape, texts.tolist()
        if len(shape) == 2 and shape[1] == 1:
            return [text for (text,) in texts]
    if isinstance(texts, Mapping) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"texts must be {_EXPECTED}; got {texts!r:.100} of type "
            f"{type(texts).__name__}. For files use keras_elmo.compute_features."
        )
    return texts


def _tokens(value: Any, i: int, split: Split) -> Iterable[bytes]:
    if isinstance(value, (str, bytes)):
        text = _encoded(value, i).decode("utf-8", "surrogateescape")
        return [t.encode("utf-8", "surrogateescape") for t in split_text(text, split)]
    if is_missing(value):
        raise ValueError(
            f"texts[{i}] is missing ({value!r}). Leave it out, or use an empty string."
        )
    if hasattr(value, "__iter__") and not isinstance(value, Mapping):
        return [_encoded(token, i) for token in value]
    raise _not_a_string(value, i)


def _encoded(value: Any, i: int) -> bytes:
    # Lone surrogates have no UTF-8 form; AllenNLP drops them.
    if isinstance(value, str):
        return value.encode("utf-8", "ignore")
    if isinstance(value, bytes):
        return bytes(value)  # NumPy has a type of its own
    raise _not_a_string(value, i)


def _not_a_string(value: Any, i: int) -> TypeError:
    return TypeError(
        f"texts[{i}] must be a string or a list of tokens, which are strings; got "
        f"{value!r:.100} of type {type(value).__name__}. Turn numbers into strings."
    )
