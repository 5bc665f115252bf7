"""What .ci/check_docs.py finds in a built site, and what it lets pass."""

from __future__ import annotations

import runpy
import zlib
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="Sphinx, which reads the inventory, is not installed")
CHECK = runpy.run_path(str(Path(__file__).resolve().parents[2] / ".ci/check_docs.py"))
RECORD = """keras_elmo.Mix(a=1)
keras_elmo.Mix.__call__(x)
keras_elmo.Mix.call(x)
keras_elmo.Mix.depth: property
keras_elmo.Mix: class(Layer)
keras_elmo.tokenize(text)
keras_elmo.types.Mode: both
keras_elmo.types.Mode: one
"""


def site_of(folder: Path, **pages: str) -> Path:
    """A folder with these pages, ``sub__page`` being ``sub/page.html``."""
    for name, body in pages.items():
        path = folder / f"{name.replace('__', '/')}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"<!DOCTYPE html><html><body>{body}</body></html>", "utf-8")
    return folder


def inventory(path: Path, *names: str) -> Path:
    """What Sphinx writes about these names."""
    lines = [f"{name} py:class 1 page.html#$ -\n" for name in names]
    lines.append("keras_elmo.label std:label 1 page.html label\n")
    head = (
        b"# Sphinx inventory version 2\n# Project: x\n# Version: 1\n"
        b"# The remainder of this file is compressed using zlib.\n"
    )
    path.write_bytes(head + zlib.compress("".join(lines).encode()))
    return path


def test_what_leads_somewhere_passes(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(b"")
    (tmp_path / "s.js").write_bytes(b"")
    site_of(
        tmp_path,
        index='<p id="top%">.</p><a href="sub/page.html#here">.</a><a href="#">.</a>'
        '<a href="sub/">.</a><a href="?q=1">.</a><a href="#top%25">.</a>'
        '<a href="https://example.org/none">.</a><a href="mailto:a@b.c">.</a>'
        '<img src="a%20b.png"/><img src="data:image/png;base64,"><script src="s.js?v=1">'
        '"<a href=none.html>"</script>',
        sub__page='<a name="here"></a><a href="../index.html">.</a><a name>.</a>',
        sub__index="",
    )
    assert CHECK["broken_references"](tmp_path) == []


def test_every_reference_that_leads_nowhere_is_listed(tmp_path: Path) -> None:
    site_of(
        tmp_path,
        index='<a href="sub/page.html#none">1</a><a href="none.html">2</a>'
        '<a href="none.html">again</a><img src="none.png"><script src="none.js"></script>',
        sub__page='<link href="s.css"><a href="../../etc/passwd">.</a>'
        '<a href="/index.html">.</a><a href="#none">.</a>',
    )
    assert CHECK["broken_references"](tmp_path) == [
        "index.html: sub/page.html#none (no such id)",
        "index.html: none.html (no such file)",
        "index.html: none.png (no such file)",
        "index.html: none.js (no such file)",
        "sub/page.html: s.css (no such file)",
        "sub/page.html: ../../etc/passwd (leads out of the site)",
        "sub/page.html: /index.html (leads out of the site)",
        "sub/page.html: #none (no such id)",
    ]


def test_names_to_document_are_those_of_the_record() -> None:
    assert CHECK["names_to_document"](RECORD) == [
        "keras_elmo.Mix",
        "keras_elmo.Mix.depth",
        "keras_elmo.tokenize",
        "keras_elmo.types.Mode",
    ]


def test_documented_names_are_those_of_the_inventory(tmp_path: Path) -> None:
    path = inventory(tmp_path / "objects.inv", "keras_elmo.Mix", "keras_elmo.tokenize")
    assert CHECK["documented_names"](path) == {"keras_elmo.Mix", "keras_elmo.tokenize"}


def test_all_that_is_wrong_is_told_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record.txt"
    record.write_text(RECORD)
    site = site_of(tmp_path / "site", page='<a href="none.html">.</a>')
    names = CHECK["names_to_document"](RECORD)
    inventory(site / "objects.inv", *names[:-1])
    with pytest.raises(SystemExit, match="no such file") as end:
        CHECK["main"](site, record)
    assert str(end.value).splitlines() == [
        "page.html: none.html (no such file)",
        "keras_elmo.types.Mode has no entry in the API reference",
    ]
    site_of(site, none="")
    inventory(site / "objects.inv", *names)
    CHECK["main"](site, record)
    assert capsys.readouterr().out == f"{site}: 4 names have entries, no link is broken\n"
