"""Each line of SECURITY.md that promises something, or does not, and the tests of it."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# How a line starts, and its tests.
TESTS: dict[str, list[str]] = {
    "They are read as what they are, or end in the error": [
        "fuzzing/test_readers.py::test_damaged_files",
        "weights/test_archives.py::test_tar_archives_that_are_not_unpacked",
    ],
    "No code of theirs runs": [
        "vectors/test_hostile_files.py::test_numpy_files_that_are_others",
        "weights/test_torch_file.py::test_hostile_files",
        "test_hostile_models.py::test_code_in_a_model_is_refused",
        "test_hostile_models.py::test_classes_of_others",
        "hub/test_hostile_modules.py::test_graphs_that_do_more_than_compute",
        "hub/test_hostile_modules.py::test_only_listed_operations_pass",
        "hub/test_hostile_modules.py::test_keras_files",
    ],
    "They reach nothing else": [
        "hub/test_hostile_modules.py::test_nothing_is_read_or_written",
        "weights/test_hdf5.py::test_refuses",
        "weights/test_archives.py::test_zip_members_that_are_refused",
        "weights/test_downloads.py::test_only_the_cache_is_changed",
        "weights/test_downloads.py::test_bad_answers",
        "vectors/test_store.py::test_files_of_the_user",
    ],
    "They take a small multiple of their own size": [
        "fuzzing/test_memory.py::test_memory",
        "hub/test_hostile_modules.py::test_many_small_parts",
        "weights/test_archives.py::test_the_bound_of_bytes",
        "weights/test_downloads.py::test_bad_answers",
    ],
    "Data that are missing are an error": [
        "weights/test_hdf5.py::test_refuses",
        "weights/test_downloads.py::test_damage_never_reaches_the_cache",
        "weights/test_atomic.py::test_nothing_is_left_of_a_failure",
    ],
    "TensorFlow runs the listed operations": [
        "hub/test_verification.py::test_a_graph_without_an_end",
        "hub/test_hub_module.py::test_the_layer_is_the_module",
    ],
    "A `.keras` file can declare": ["test_hostile_models.py::test_classes_of_others"],
    "A changed number": [
        "weights/test_hdf5.py::test_changed_bytes_are_an_error_or_harmless",
        "fuzzing/test_readers.py::test_damaged_files",
    ],
    "A download takes as long": [
        "weights/test_downloads.py::test_bad_answers",
        "weights/test_handles.py::test_kaggle_handles",
    ],
    "`examples/serve/serve.py` limits": [
        "examples/test_serve.py::test_wrong_requests",
        "examples/test_serve.py::test_malformed_bodies",
        "examples/test_serve.py::test_slow_clients_are_cut_off",
    ],
}


def test_every_line_has_tests() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    section = text.split("## Promises")[1]
    lines = [line[2:] for line in section.splitlines() if line.startswith("- ")]
    assert len(lines) == len(TESTS)
    for line, start in zip(lines, TESTS, strict=True):
        assert line.startswith(start)
        assert line.count(". ") == 0, f"a second sentence: {line}"


@pytest.mark.parametrize(
    "test", sorted({test for tests in TESTS.values() for test in tests})
)
def test_the_tests_are_there(test: str) -> None:
    file, name = test.split("::")
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    functions = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    assert name in functions


# Limits that tests replace, and what docs/robustness.md says of each.
LIMITS = {
    "text.lines.MAX_LINE_BYTES": (16 << 20, "a line of more than 16 MiB is a bad line"),
    "vectors.parquet_format._LARGEST_RATIO": (25, "take at most 25 times the bytes of"),
    "vectors.parquet_format._MUCH": (64 << 20, "the file (64 MiB for small files)"),
    "hub.verification.MOST_SECONDS": (600, "for at most ten minutes"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_those_of_the_docs(name: str) -> None:
    module, attribute = f"keras_elmo.{name}".rsplit(".", 1)
    value, words = LIMITS[name]
    assert getattr(importlib.import_module(module), attribute) == value
    assert words in " ".join((ROOT / "docs/robustness.md").read_text("utf-8").split())
