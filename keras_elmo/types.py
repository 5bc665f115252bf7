"""Types that the whole package shares, and checks of arguments, each of which names one."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

Tensor = Any
"""A tensor of the Keras backend in use, or a symbolic ``keras.KerasTensor``."""

Shape = Sequence[Any]
"""A tensor shape: integers, and None where a size is not known yet."""

Arrays = Mapping[str, NDArray[np.floating[Any]]]
"""Weights by name: the one currency between file formats and layers."""

PathLike = str | os.PathLike[str]
"""A file system path."""

OutputMode = Literal[
    "default",
    "elmo",
    "word_emb",
    "lstm_outputs1",
    "lstm_outputs2",
    "layers",
    "pooled_layers",
]
"""What comes out of an :class:`~keras_elmo.ElmoEmbeddingLayer`."""

InputMode = Literal["sentences", "tokens", "character_ids"]
"""What goes into it."""

FineTune = Literal["aggregation", "lstm", "all"]
"""What its ``trainable=True`` trains."""

Stateful = bool | Literal["pieces"]
"""What each row of its batches goes on from."""

Engine = Literal["native", "hub"]
"""What computes it."""

T = TypeVar("T")


def check_one_of(name: str, value: T, choices: Sequence[str]) -> T:
    """Returns ``value``, or says which choices the argument ``name`` has."""
    if not isinstance(value, str) or value not in choices:
        choice = "one of " * (len(choices) > 1) + ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be {choice}; got {value!r}.")
    return value


def check_integer(name: str, value: object, at_least: int) -> int:
    """Returns ``value`` as an ``int``, or says how small the argument ``name`` may be."""
    # bool is an integer to Python; here True is a mistake.
    if isinstance(value, bool | np.bool_) or not isinstance(value, SupportsIndex):
        number = None
    else:
        number = operator.index(value)
    if number is None or number < at_least:
        kind = "a positive integer" if at_least == 1 else f"an integer from {at_least} on"
        raise ValueError(f"{name} must be {kind}; got {value!r}.")
    return number


def check_positive_integer(name: str, value: object) -> int:
    """Returns ``value``, or says that the argument ``name`` must be 1 or more."""
    return check_integer(name, value, at_least=1)


def check_characters_per_token(name: str, value: object) -> int:
    """Returns ``value``, or says that the argument ``name`` must be 3 or more."""
    characters = check_positive_integer(name, value)
    if characters < 3:
        raise ValueError(
            f"{name} must be at least 3 (a character between two marks); got {characters}."
        )
    return characters


def check_true_or_false(name: str, value: object) -> bool:
    """Returns ``value``, or says that the argument ``name`` must be True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
    return value


def check_stateful(value: object) -> Stateful:
    """Returns ``value``, or says what the argument ``stateful`` may be."""
    if value is True or value is False or value == "pieces":
        return value
    raise ValueError(f"stateful must be True, False or 'pieces'; got {value!r}.")
