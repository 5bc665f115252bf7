"""The public names and signatures are those that were recorded."""

from __future__ import annotations

import importlib

import pytest

from tests.public_api import MODULES, RECORD, difference, public_api


def test_nothing_public_changed_unnoticed() -> None:
    changes = difference(RECORD.read_text("utf-8").splitlines(), public_api())
    assert not changes, changes


@pytest.mark.parametrize("module_name", MODULES)
def test_public_names_are_sorted_and_documented(module_name: str) -> None:
    module = importlib.import_module(module_name)
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__, name


def test_what_a_line_tells() -> None:
    lines = public_api()
    for line in (
        "keras_elmo.SourceError: class(ValueError)",
        "keras_elmo.vectors.Embeddings.__getitem__(key)",
        "keras_elmo.ElmoConfig.from_json(path): classmethod",
        "keras_elmo.ElmoConfig.n_filters: property",
        "keras_elmo.ElmoEmbeddingLayer.call(inputs, training=False)",
        "keras_elmo.pretraining.evaluate_windows(model, windows)",
        "keras_elmo.types.InputMode: tokens",
    ):
        assert line in lines
    assert not [line for line in lines if " at 0x" in line]


def test_a_difference_says_what_and_what_to_do() -> None:
    recorded = ["a(x)", "b(x, y=1)", "c"]
    assert difference(recorded, list(recorded)) == ""
    told = difference(recorded, ["a(x)", "b(x, y=2)", "c", "d"]).splitlines()
    assert told[1:4] == ["-b(x, y=1)", "+b(x, y=2)", "+d"]
    assert "CHANGELOG.md" in told[-1]
    assert "python -m tests.public_api > tests/public_api.txt" in told[-1]
