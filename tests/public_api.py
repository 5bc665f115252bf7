"""What users may rely on, as text: public names, their parameters and defaults.

``tests/public_api.txt`` is the record of it, and a test compares. After a change that is
meant, record it anew, from the root of the repository::

    python -m tests.public_api > tests/public_api.txt

Annotations are left out: one that becomes wider breaks nobody's program. The values that a
``Literal`` allows are there, because a mode that goes does. Of classes, what Keras and
Python define is left out, as it differs between their versions.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

RECORD = Path(__file__).with_suffix(".txt")
MODULES = (
    *("keras_elmo", "keras_elmo.layers", "keras_elmo.pretraining"),
    "keras_elmo.vectors",
)
# Special methods that expressions and statements of users call.
SPECIAL = {
    f"__{name}__"
    for name in ("call", "contains", "enter", "exit", "getitem", "iter", "len", "next")
}


def public_api() -> list[str]:
    """One line for each name, in the order of the alphabet."""
    lines = [f"keras_elmo.types.{line}" for line in _choices()]
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            path = f"{module_name}.{name}"
            lines += (
                _class(path, thing) if isinstance(thing, type) else [_call(path, thing)]
            )
    return sorted(lines)


def difference(recorded: list[str], present: list[str]) -> str:
    """The lines that went (``-``) and came (``+``), and what to do; empty if none did."""
    changes = [
        line
        for line in difflib.unified_diff(recorded, present, lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    if not changes:
        return ""
    return "\n".join(
        [
            "The public names or signatures changed:",
            *changes,
            "If that is meant, tell it in CHANGELOG.md (what is gone or called otherwise, "
            "marked by -, breaks programs: under Removed or Changed) and record it anew: "
            "python -m tests.public_api > tests/public_api.txt",
        ]
    )


def _choices() -> Iterator[str]:
    from keras_elmo import types

    for name, alias in vars(types).items():
        parts = get_args(alias)  # of a union; of a Literal, its values
        literals = [p for p in (alias, *parts) if get_origin(p) is Literal]
        if literals:
            values = [value for literal in literals for value in get_args(literal)]
            values += [part.__name__ for part in parts if isinstance(part, type)]
            yield from (f"{name}: {value}" for value in values)


def _class(path: str, cls: type) -> Iterator[str]:
    """The class with its bases, how it is made, and our methods and properties of it."""
    names = [base.__name__ for base in cls.__bases__ if base is not object]
    # Keras changes the base of a model's class when the first one is made of layers.
    names = ["Model" if name == "Functional" else name for name in names]
    yield f"{path}: class({', '.join(names)})"
    members = {name: m for base in reversed(_ours(cls)) for name, m in vars(base).items()}
    made_by = members.get("__new__" if issubclass(cls, tuple) else "__init__")
    if made_by is not None:
        yield _call(path, made_by, bound=True)
    for name, member in members.items():
        if name in SPECIAL or not name.startswith("_"):
            yield _member(f"{path}.{name}", member)


def _ours(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base.__module__.startswith("keras_elmo")]


def _member(path: str, member: Any) -> str:
    if isinstance(member, (property, cached_property)):
        settable = isinstance(member, property) and member.fset is not None
        return f"{path}: property{', can be set' if settable else ''}"
    if isinstance(member, (classmethod, staticmethod)):
        kind = type(member)
        return f"{_call(path, member.__func__, kind is classmethod)}: {kind.__name__}"
    if callable(member):
        return _call(path, member, bound=True)
    return f"{path}: attribute"  # of a named tuple, or the default of one of a dataclass


def _call(path: str, function: Any, bound: bool = False) -> str:
    """The path with the parameters and their defaults, as in a call."""
    signature = inspect.signature(getattr(function, "__func__", function))
    parameters = [_bare(parameter) for parameter in signature.parameters.values()]
    return f"{path}{inspect.Signature(parameters[bound:])}"  # without self or cls


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    """Without the annotation; of a default that is a function or a class, its name."""
    default = parameter.default
    if callable(default) and default is not inspect.Parameter.empty:
        default = _Name(default.__qualname__)
    return parameter.replace(annotation=inspect.Parameter.empty, default=default)


class _Name(str):
    __repr__ = str.__str__


if __name__ == "__main__":
    print("\n".join(public_api()))
