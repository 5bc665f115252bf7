"""Checks the documentation as built: links that lead nowhere, names without an entry.

Every ``href`` and ``src`` without a scheme has to lead to a file of the site, and what
stands behind ``#`` to an element with that id. Every name of ``tests/public_api.txt`` has
to have an entry in ``objects.inv``, but for methods that Keras and Python call and tell of
themselves.
"""

from __future__ import annotations

import posixpath
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util.inventory import InventoryFile

RECORD = Path(__file__).resolve().parents[1] / "tests/public_api.txt"
# What Keras asks of layers, models and callbacks, whose documentation tells of it.
OF_KERAS = {
    *("build", "call", "compute_loss", "compute_mask", "compute_output_shape"),
    *("compute_output_spec", "from_config", "get_config", "load_assets", "metrics"),
    *("on_epoch_end", "on_train_begin", "result", "save_assets", "test_step"),
    *("train_step", "trainable"),
}


class Page(HTMLParser):
    """The ids of a page, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.references: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collects them from one element."""
        for name, value in attributes:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.ids.add(value)
            elif name in ("href", "src"):
                self.references.append(value)


def broken_references(site: Path) -> list[str]:
    """What leads nowhere: ``page: reference (why)``, in the order of the pages."""
    pages = {
        path.relative_to(site).as_posix(): Page(path.read_text("utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
    return [
        f"{name}: {reference} ({problem})"
        for name, page in pages.items()
        for reference in dict.fromkeys(page.references)
        if (problem := _problem(site, pages, name, reference))
    ]


def _problem(site: Path, pages: dict[str, Page], name: str, reference: str) -> str | None:
    parts = urlsplit(reference)
    if parts.scheme or parts.netloc:
        return None
    target = name
    if path := unquote(parts.path):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        if path.startswith("/") or target.startswith(".."):
            return "leads out of the site"
    if (site / target).is_dir():
        target = posixpath.join(target, "index.html")
    if not (site / target).is_file():
        return "no such file"
    identifier = unquote(parts.fragment)
    if identifier and identifier not in pages.get(target, Page("")).ids:
        return "no such id"
    return None


def names_to_document(record: str) -> list[str]:
    """The dotted names of a record of the public names, without those of Keras' methods."""
    paths = [re.split(r"[:(]", line, maxsplit=1)[0] for line in record.splitlines()]
    return [
        path
        for path in dict.fromkeys(paths)
        if (last := path.rpartition(".")[2]) not in OF_KERAS and not last.startswith("__")
    ]


def documented_names(inventory: Path) -> set[str]:
    """The Python names that have an entry in the reference."""
    with inventory.open("rb") as file:
        kinds = InventoryFile.load(file, "", posixpath.join)
    return {
        name for kind, names in kinds.items() if kind.startswith("py:") for name in names
    }


def main(site: Path, record: Path = RECORD) -> None:
    """Ends with a list of all that is wrong with a built site."""
    names = names_to_document(record.read_text("utf-8"))
    documented = documented_names(site / "objects.inv")
    problems = broken_references(site)
    problems += [
        f"{name} has no entry in the API reference"
        for name in names
        if name not in documented
    ]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{site}: {len(names)} names have entries, no link is broken")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
