"""The notebook of the documentation holds what it prints when it runs."""

from __future__ import annotations

import re

import nbformat
import pytest

from tests.docs.notebook import METADATA, ROOT, executed, outputs

ARTICLE = ROOT / "docs" / "gallery" / "article.ipynb"
# Processors and versions round differently, and of 80 test reviews each counts 0.0125.
TOLERANCE = 0.08
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.mark.slow
def test_article_says_what_is_saved() -> None:
    saved = outputs(nbformat.read(ARTICLE, as_version=4))
    found = outputs(executed(ARTICLE))
    for cell_saved, cell_found in zip(saved, found, strict=True):
        for old, new in zip(cell_saved, cell_found, strict=True):
            assert sorted(new) == sorted(old)
            for kind in ("text", "text/plain"):
                assert_same_text(old.get(kind, ""), new.get(kind, ""))
    (picture,) = [o for cell in found for o in cell if "image/png" in o]
    assert len(picture["image/png"]) > 10_000


def assert_same_text(saved: str, found: str) -> None:
    """Equal up to numbers with a decimal point, which may differ by the tolerance."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", saved)
    for old, new in zip(NUMBER.findall(saved), NUMBER.findall(found), strict=True):
        assert abs(float(new) - float(old)) <= TOLERANCE * ("." in old)


def test_article_is_written_by_a_clean_run() -> None:
    """Every cell ran, in order; the file has no paths or times of a machine."""
    content = ARTICLE.read_text(encoding="utf-8")
    assert len(content) < 150_000
    assert not re.search(r'"(?:/|[A-Z]:)[^"\s]*/|site-packages|iopub', content)
    notebook = nbformat.reads(content, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(cell.metadata == {} for cell in notebook.cells)
    every = [output for cell in code for output in cell.outputs]
    assert {output.get("name") for output in every} <= {"stdout", None}
    assert all(not output.get("metadata") for output in every)
