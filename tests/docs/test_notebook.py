"""The notebook of the documentation holds what it prints when it runs."""

from __future__ import annotations

import re

import nbformat
import pytest
from notebooks import cells

from tests.docs.notebook import METADATA, ROOT, executed, outputs

ARTICLE = ROOT / "docs" / "gallery" / "article.ipynb"
# Processors and versions round differently, and training makes the differences larger.
TOLERANCE = 0.08
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def test_a_page_becomes_cells() -> None:
    page = """(label)=
# A {doc}`page`

`````{tab-set}
````{tab-item} JAX
:sync: jax
````
`````
```{doctest}
>>> x = 1
>>> for _ in range(2):
...     print(x)
1
1
>>> 1 / 0
Traceback (most recent call last):
    ...
ZeroDivisionError: division by zero
>>> y = 2
```
{func}`~a.b`
```{figure} c.svg
:alt: None
```
"""
    _, *found = cells(page, lambda role: f"<{role[1]} {role[2]}>")
    assert [cell.source for cell in found] == [
        "# A <doc page>\n\n**JAX**",
        "x = 1\nfor _ in range(2):\n    print(x)",
        "1 / 0",
        "y = 2",
        "<func a.b>",
    ]
    assert found[1].outputs[0].text == "1\n1\n"
    assert found[2].metadata.tags == ["raises-exception"]


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
