"""Checks of arguments that several layers share; each names the argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from keras_elmo.types import Stateful

T = TypeVar("T")


def one_of(name: str, value: T, choices: Sequence[str]) -> T:
    """Returns ``value``, or says which choices the argument ``name`` has."""
    if not isinstance(value, str) or value not in choices:
        choice = "one of " * (len(choices) > 1) + ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be {choice}; got {value!r}.")
    return value


def positive_integer(name: str, value: object) -> int:
    """Returns ``value``, or says that the argument ``name`` must be 1 or more."""
    # bool is an int in Python; here True is a mistake.
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}.")
    return value


def characters_per_token(name: str, value: object) -> int:
    """Returns ``value``, or says that the argument ``name`` must be 3 or more."""
    characters = positive_integer(name, value)
    if characters < 3:
        raise ValueError(
            f"{name} must be at least 3 (a character between two marks); got {characters}."
        )
    return characters


def true_or_false(name: str, value: object) -> bool:
    """Returns ``value``, or says that the argument ``name`` must be True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}.")
    return value


def stateful(value: object) -> Stateful:
    """Returns ``value``, or says what the argument ``stateful`` may be."""
    if value is True or value is False or value == "pieces":
        return value
    raise ValueError(f"stateful must be True, False or 'pieces'; got {value!r}.")
