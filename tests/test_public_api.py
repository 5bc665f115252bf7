"""What users may rely on: public names, their parameters and defaults.

``tests/public_api.txt`` is the record. After a change that is meant, record it again from
the root of the repository: ``python -m tests.test_public_api``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

RECORD = Path(__file__).with_name("public_api.txt")
PARTS = ("hub", "layers", "pretraining", "sklearn", "text", "training", "vectors")
MODULES = ("keras_elmo", *(f"keras_elmo.{part}" for part in PARTS))


def public_api() -> list[str]:
    """A line for each public name, and for each public method of a class."""
    from keras_elmo import types

    lines = [
        f"keras_elmo.types.{name}: {', '.join(map(str, get_args(alias)))}"
        for name, alias in vars(types).items()
        if get_origin(alias) is Literal
    ]
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            lines += _lines(f"{module_name}.{name}", getattr(module, name))
    return sorted(lines)


def _lines(path: str, thing: Any) -> Iterator[str]:
    if not callable(thing):
        yield path
        return
    yield f"{path}{_signature(thing)}"
    if isinstance(thing, type) and not issubclass(thing, BaseException):
        for name, member in vars(thing).items():
            if not name.startswith("_"):
                is_call = callable(member) or isinstance(member, classmethod)
                yield f"{path}.{name}{_signature(getattr(thing, name)) if is_call else ''}"


def _signature(function: Any) -> str:
    if isinstance(function, type):
        function = function.__new__ if issubclass(function, tuple) else function.__init__
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("self", "_cls")
    ]
    # Functions that are defaults are written with their addresses.
    return re.sub(r" at 0x\w+", "", str(inspect.Signature(parameters)))


def test_public_names_and_signatures_are_those_recorded() -> None:
    recorded = RECORD.read_text("utf-8").splitlines()
    changes = difflib.unified_diff(recorded, public_api(), "recorded", "present", n=0)
    assert not list(changes), "\n".join(changes)


def test_public_names_are_sorted_and_documented() -> None:
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        assert module.__all__ == sorted(module.__all__)
        for name in module.__all__:
            if not name.startswith("__"):
                assert getattr(module, name).__doc__, name


if __name__ == "__main__":
    RECORD.write_text("\n".join(public_api()) + "\n", "utf-8")
