"""Docstrings of public names describe every parameter, what is returned and raised.

Ruff's rules for that (``DOC``, in preview) leave out classes and docstrings of one line,
ask the same of private functions, and do not know which exception is a kind of another.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.test_public_api import MODULES

PARAMETERS = {"Args", "Attributes", "Call arguments"}


def section_items(thing: Any) -> dict[str, list[str]]:
    """The names that each section of a Google-style docstring begins its entries with."""
    items: dict[str, list[str]] = {}
    entries: list[str] = []
    for line in inspect.cleandoc(thing.__doc__).splitlines():
        if heading := re.fullmatch(r"([A-Z][a-z ]+):", line):
            entries = items.setdefault(heading[1], [])
        elif line and not line.startswith(" "):
            entries = []  # the text goes on
        elif entry := re.match(r" {4}[*]*([\w.]+)(?: \(.*?\))?:(?: |$)", line):
            entries.append(entry[1])
    return items


def documented(thing: Any, sections: set[str] = PARAMETERS) -> set[str]:
    items = section_items(thing)
    return {name for section in sections for name in items.get(section, [])}


def public_things() -> Iterator[tuple[str, Any]]:
    """Public functions and classes, and methods that override nothing of other packages."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            yield f"{module_name}.{name}", thing
            if not isinstance(thing, type):
                continue
            ours = {
                base for base in thing.__mro__ if base.__module__.startswith("keras_elmo")
            }
            others = [base for base in thing.__mro__ if base not in ours]
            for method, member in vars(thing).items():
                function = getattr(member, "__func__", member)
                is_own = inspect.isfunction(function) and not method.startswith("_")
                if is_own and not any(hasattr(base, method) for base in others):
                    yield f"{module_name}.{name}.{method}", function


def functions_of(thing: Any) -> list[Any]:
    """A function, or those that make and call an object of a class."""
    if not isinstance(thing, type):
        return [thing]
    made = ("__init__", "__new__", "__post_init__", "call")
    members = [vars(thing)[name] for name in made if name in vars(thing)]
    return [getattr(member, "__func__", member) for member in members]


def parameters(thing: Any) -> set[str]:
    found = (inspect.signature(function).parameters for function in functions_of(thing))
    return {name for names in found for name in names} - {"self", "_cls", "cls"}


def returns_something(thing: Any) -> bool:
    """Whether a function does; a docstring of one line may say what in that line."""
    return (
        not isinstance(thing, type)
        and "\n" in thing.__doc__
        and inspect.signature(thing).return_annotation not in ("None", None)
    )


def exceptions_in(thing: Any) -> set[type]:
    """What the lines of a function raise, but not what it calls."""
    found: set[type] = set()
    for function in functions_of(thing):
        if function.__code__.co_filename.startswith("<"):  # made by a decorator
            continue
        known = vars(builtins) | function.__globals__
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                exception = known.get(ast.unparse(node.exc.func))
                if isinstance(exception, type):  # and not a function that makes one
                    found.add(exception)
    return found


def problems_of(thing: Any) -> list[str]:
    """What the docstring lacks, and what it describes that is not there."""
    expected = parameters(thing)
    found = [f"lacks {name}" for name in sorted(expected - documented(thing))]
    if isinstance(thing, type):  # a layer without an __init__ has that of Keras
        expected |= {"kwargs"}
    strangers = documented(thing, PARAMETERS - {"Attributes"}) - expected
    found += [f"has no {name}" for name in sorted(strangers)]
    if returns_something(thing) and not {"Returns", "Yields"} & {*section_items(thing)}:
        found.append("lacks what it returns")
    raised = documented(thing, {"Raises"})
    for exception in sorted(exceptions_in(thing), key=str):
        if not raised & {base.__name__ for base in exception.__mro__}:
            found.append(f"lacks {exception.__name__}")
    return found


THINGS = dict(public_things())


@pytest.mark.parametrize("name", THINGS)
def test_a_docstring_describes_all_and_nothing_else(name: str) -> None:
    assert problems_of(THINGS[name]) == []


def test_what_is_missing_is_found() -> None:
    def function(first: int, second: int, *third: int) -> int:
        """Does it.

        Args:
            second: One.
            *fourth: Others.

        Raises:
            LookupError: There is none.
        """
        if first:
            raise KeyError(first)
        raise ValueError(second)

    assert problems_of(function) == [
        "lacks first",
        "lacks third",
        "has no fourth",
        "lacks what it returns",
        "lacks ValueError",
    ]


def test_sections_are_read() -> None:
    def function() -> None:
        """Does it.

        Text: of it.

        Args:
            first: One,
                and: more.
            second (int): Two.
            **kwargs: Others.

        Call arguments:
            third:
                Three.

        Back to text.
            fourth: Not one.

        Raises:
            ValueError: Always.
        """

    assert section_items(function) == {
        "Args": ["first", "second", "kwargs"],
        "Call arguments": ["third"],
        "Raises": ["ValueError"],
    }
