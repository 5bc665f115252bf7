"""A Sphinx extension: each page with code that is run can be downloaded as a notebook."""

from __future__ import annotations

import doctest
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import nbformat.v4 as nb

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FIRST = """\
%pip install -q "keras-elmo[onnx,sklearn]"
import keras
keras.utils.set_random_seed(0)"""
# What readers do not have, or what would remove files that later cells need.
NOT_ALONE = re.compile(r"^from tests|^```\{testcleanup\}", re.M)
CODE = re.compile(r"^```\{(doctest|testsetup|testcleanup)\}\n(.*?)^```\n", re.M | re.S)
# Front matter, labels, directives without prose, and the marks and options of others.
LEFT_OUT = re.compile(
    r"^```\{(?:figure|toctree|eval-rst|grid-item-card)\}(?:.*\n)*?```\n"
    r"|\A---\n(?:.*\n)*?---\n|^\(\S+\)=\n|^`{4,}.*\n|^:[\w-]+:.*\n",
    re.M,
)
TAB = re.compile(r"^`+\{tab-item\} (.*)$", re.M)
ROLE = re.compile(r"\{(\w+)\}`~?(?:[^`<]*<)?([^`>]+)>?`")


def cells(markdown: str, link: Callable[[re.Match[str]], str]) -> Iterator[Any]:
    """The cells of a page: a code cell ends where a doctest prints something."""
    yield nb.new_code_cell(FIRST)
    prose, *rest = CODE.split(markdown)
    for kind, code, following in [("", "", prose), *zip(*[iter(rest)] * 3, strict=True)]:
        source = "" if kind == "doctest" else code
        examples = doctest.DocTestParser().get_examples(code) if kind == "doctest" else []
        for example in examples:
            source += example.source
            if example.want:
                cell = nb.new_code_cell(source.rstrip())
                cell.outputs = [nb.new_output("stream", text=example.want)]
                if example.exc_msg:
                    cell.metadata.tags = ["raises-exception"]
                yield cell
                source = ""
        if source:
            yield nb.new_code_cell(source.rstrip())
        text = LEFT_OUT.sub("", TAB.sub(r"**\1**", following))
        text = re.sub(r"\n{3,}", "\n\n", ROLE.sub(link, text)).strip()
        if text:
            yield nb.new_markdown_cell(text)


def add_notebook(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Writes the notebook of a page next to it, and gives the template its address."""
    labels = app.env.domains.standard_domain.labels
    base = app.config.html_baseurl

    def link(role: re.Match[str]) -> str:
        name = target = role[2]
        if role[1] == "doc":
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), name))
            return f"[{app.env.titles[target].astext()}]({base}{target}.html)"
        if role[1] == "ref":
            target, anchor, title = labels[name]
            return f"[{title}]({base}{target}.html#{anchor})"
        return f"`{name}`"

    source = Path(app.env.doc2path(page)) if doctree else Path()
    text = source.read_text("utf-8") if doctree else ""
    has_code = "```{doctest}" in text and not NOT_ALONE.search(text)
    if source.suffix == ".md" and has_code:
        text = nbformat.writes(nb.new_notebook(cells=list(cells(text, link))))
    elif source.suffix != ".ipynb":
        return
    context["notebook"] = f"_notebooks/{page}.ipynb"
    path = Path(app.outdir, context["notebook"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", add_notebook)
