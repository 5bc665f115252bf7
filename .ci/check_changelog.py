"""Checks that CHANGELOG.md has the form of Keep a Changelog, and a line for what changed.

The second can be told on a branch only: its commits, since it left ``origin/main``, may
change ``keras_elmo/`` if they also change ``CHANGELOG.md``, or if one of them says in its
message, on a line of its own, ``Changelog: none``, because no user notices it. A change of
``tests/public_api.txt`` is always told. On main, in a clone that does not know where the
branch began, and without git there is nothing to compare, and this says so.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from datetime import date
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = "origin/main"
SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
RELEASE = re.compile(r"## \[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)(?: \[YANKED\])?")
Version = tuple[int, ...]


def problems_of_form(text: str, package: Version) -> list[str]:
    """What is wrong with a changelog of a package that has this version."""
    title, *versions = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    found = [] if title.startswith("# Changelog\n") else ["it does not begin '# Changelog'"]
    if not versions or versions[0].partition("\n")[0] != "## [Unreleased]":
        return [*found, "its first version is not '## [Unreleased]'"]
    releases: list[tuple[Version, date]] = []
    for part in versions:
        heading = part.partition("\n")[0]
        found += [f"{heading}: {problem}" for problem in _problems_of_sections(part)]
        if part is versions[0]:
            continue
        if release := _release(heading):
            releases.append(release)
        else:
            found.append(f"{heading!r} is not '## [1.2.3] - 2026-01-31'")
    for (newer, later), (older, earlier) in pairwise(releases):
        if newer <= older or later < earlier:
            found.append(f"{_text(newer)} stands above {_text(older)}, but is not newer")
    newest = releases[0][0] if releases else ()
    if package < newest:
        found.append(f"it tells of {_text(newest)}, but the package is {_text(package)}")
    if package > newest and "\n- " not in versions[0]:
        found.append(f"the package is {_text(package)}, which nothing is told of")
    return found


def _release(heading: str) -> tuple[Version, date] | None:
    match = RELEASE.fullmatch(heading)
    if match is None:
        return None
    major, minor, patch, day = match.groups()
    try:
        return (int(major), int(minor), int(patch)), date.fromisoformat(day)
    except ValueError:  # the 31st of February
        return None


def _problems_of_sections(version: str) -> list[str]:
    _, *sections = re.split(r"^### ", version, flags=re.MULTILINE)
    names = [section.partition("\n")[0] for section in sections]
    found = [
        f"no section {name!r}; there are {sorted(SECTIONS)}"
        for name in names
        if name not in SECTIONS
    ]
    found += [f"{name!r} more than once" for name in set(names) if names.count(name) > 1]
    empty = [n for n, s in zip(names, sections, strict=True) if "\n- " not in s]
    return found + [f"{name!r} is empty" for name in empty]


def problem_of_change(paths: list[str], messages: str) -> str | None:
    """What a branch lacks that changes these files, with these messages."""
    if "CHANGELOG.md" in paths:
        return None
    if "tests/public_api.txt" in paths:
        return "public names or signatures changed, and it does not tell of it"
    quiet = re.search(r"^Changelog: none\s*$", messages, re.MULTILINE)
    if quiet or not any(path.startswith("keras_elmo/") for path in paths):
        return None
    return (
        "keras_elmo/ changed, and it does not tell of it; add a line below Unreleased, or "
        "'Changelog: none' to a commit message if no user notices"
    )


def package_version() -> Version:
    """``keras_elmo.__version__``, without importing what it needs."""
    for node in ast.parse((ROOT / "keras_elmo/__init__.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return tuple(map(int, ast.literal_eval(node.value).split(".")))
    raise SystemExit("keras_elmo/__init__.py has no __version__")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def main() -> None:
    """Ends with a message if the changelog is not as it should be."""
    problems = problems_of_form(
        (ROOT / "CHANGELOG.md").read_text("utf-8"), package_version()
    )
    base = _git("merge-base", BASE, "HEAD")
    if base is None:
        print(f"no history since {BASE} to compare with")
    else:
        changes = f"{base.strip()}..HEAD"
        paths = _git("diff", "--name-only", "--no-renames", changes) or ""
        messages = _git("log", "--format=%B", changes) or ""
        if problem := problem_of_change(paths.splitlines(), messages):
            problems.append(problem)
    if problems:
        sys.exit("\n".join(f"CHANGELOG.md: {problem}" for problem in problems))
    print("CHANGELOG.md: as it should be")


if __name__ == "__main__":
    main()
