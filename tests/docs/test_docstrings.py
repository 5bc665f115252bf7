"""Docstrings of public names describe what is returned and raised.

Ruff checks parameters (D417). Its rules for the rest (``DOC``, in preview) ask the same of
private functions, and do not know which exception is a kind of another.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keras_elmo import errors
from tests.test_public_api import MODULES

ROOT = Path(__file__).resolve().parents[2]


def public_functions() -> Iterator[tuple[str, Any]]:
    """Public functions and methods; a class stands for what makes and calls it."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                yield f"{module_name}.{name}", thing
            elif isinstance(thing, type):
                for method, member in vars(thing).items():
                    function = getattr(member, "__func__", member)
                    if inspect.isfunction(function) and not method.startswith("_"):
                        yield f"{module_name}.{name}.{method}", function


def exceptions_in(function: Any) -> Iterator[type]:
    """What the lines of a function raise, but not what it calls."""
    known = vars(builtins) | function.__globals__
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            exception = known.get(ast.unparse(node.exc.func))
            if isinstance(exception, type):  # and not a function that makes one
                yield exception


def problems_of(function: Any) -> list[str]:
    """What a docstring with sections lacks; one of a single paragraph needs none.

    A class of this package describes itself, and the first line what a method returns.
    """
    docstring = inspect.cleandoc(function.__doc__ or "")
    sections = dict(re.findall(r"^([A-Z]\w+):\n((?: +.*\n?|\n)+)", docstring, re.MULTILINE))
    if not sections:
        return []
    problems = []
    returned = inspect.signature(function).return_annotation
    of_ours = getattr(function.__globals__.get(returned), "__module__", "")
    is_described = sections.keys() & {"Returns", "Yields"} or of_ours.startswith("keras_el")
    if returned != "None" and not is_described and "." not in function.__qualname__:
        problems.append("lacks what it returns")
    raised = re.findall(r"^ {4}(\w+): ", sections.get("Raises", ""), re.MULTILINE)
    for exception in sorted(exceptions_in(function), key=str):
        if not {base.__name__ for base in exception.__mro__} & {*raised}:
            problems.append(f"lacks {exception.__name__}")
    return problems


def test_each_public_name_has_a_page_and_each_error_a_cure() -> None:
    api, pages = ROOT / "docs" / "api", r"^(?:   |\.\. autodata:: )(?:\w+\.)*(\w+)$"
    text = (api / "index.md").read_text("utf-8") + (api / "types.md").read_text("utf-8")
    public = {
        name for module in MODULES for name in importlib.import_module(module).__all__
    }
    assert public - set(re.findall(pages, text, re.MULTILINE)) == {"__version__"}
    cures = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    ours = [name for name in vars(errors) if name.endswith(("Error", "Tip"))]
    assert len(ours) == 8
    assert [name for name in ours if name not in cures] == []


FUNCTIONS = dict(public_functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_returned_and_raised_is_described(name: str) -> None:
    assert problems_of(FUNCTIONS[name]) == []
