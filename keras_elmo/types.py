"""Type aliases, and checks of arguments."""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Tensor = Any
"""A tensor of the Keras backend in use, or a symbolic ``keras.KerasTensor``."""

Shape = Sequence[Any]
"""A tensor shape: integers, or None for a size that is not known yet."""

Arrays = Mapping[str, NDArray[np.floating[Any]]]
"""Weights by name."""

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
"""Outputs of an :class:`~keras_elmo.ElmoEmbeddingLayer`."""

InputMode = Literal["sentences", "tokens", "character_ids"]
"""Inputs of an :class:`~keras_elmo.ElmoEmbeddingLayer`."""

Split = Literal["space", "words", "character"]
"""How the layer splits sentences."""

FineTune = Literal["aggregation", "lstm", "all"]
"""The weights that ``trainable=True`` trains."""

Stateful = bool | Literal["pieces"]
"""The states that rows of a batch start from."""

EngineName = Literal["native", "hub"]
"""The implementation that computes the layers."""

T = TypeVar("T")


def check_one_of(name: str, value: T, choices: Sequence[str]) -> T:
    if not isinstance(value, str) or value not in choices:
        choice = "one of " * (len(choices) > 1) + ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be {choice}; got {value!r}.")
    return value


def check_integer(name: str, value: Any, at_least: int, at_most: int | None = None) -> int:
    """NumPy's integers are integers; ``True`` and ``False`` are not, unlike in Python."""
    number = None
    if not isinstance(value, bool | np.bool_):
        with contextlib.suppress(TypeError):
            number = operator.index(value)
    if number is None or number < at_least or (at_most is not None and number > at_most):
        kind = "a positive integer" if at_least == 1 else f"an integer from {at_least} on"
        if at_most is not None:
            kind = f"an integer from {at_least} to {at_most}"
        raise ValueError(f"{name} must be {kind}; got {value!r:.200}.")
    return number


def check_positive_integer(name: str, value: object) -> int:
    return check_integer(name, value, at_least=1)


def check_characters_per_token(name: str, value: object) -> int:
    characters = check_positive_integer(name, value)
    if characters < 3:
        raise ValueError(
            f"{name} must be at least 3 (a character between two marks); got {characters}."
        )
    return characters


def check_true_or_false(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
    return value


def check_stateful(value: object) -> Stateful:
    if value is True or value is False or value == "pieces":
        return value
    raise ValueError(f"stateful must be True, False or 'pieces'; got {value!r}.")
