"""What .ci/check_changelog.py finds, and what it lets pass."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

CHECK = runpy.run_path(str(Path(__file__).resolve().parents[1] / ".ci/check_changelog.py"))
GOOD = """# Changelog

Words before.

## [Unreleased]

### Added

- One.

## [0.2.0] - 2026-03-01 [YANKED]

### Added

- Two.

### Fixed

- Three.

## [0.1.0] - 2026-02-28

### Added

- Four.
"""


def found(text: str, version: tuple[int, ...] = (0, 2, 0)) -> list[str]:
    return CHECK["problems_of_form"](text, version)


@pytest.mark.parametrize("version", [(0, 2, 0), (0, 3, 0)])
def test_a_changelog_that_is_as_it_should_be(version: tuple[int, ...]) -> None:
    assert found(GOOD, version) == []


def test_before_the_first_release() -> None:
    assert found(GOOD.partition("## [0.2.0]")[0], (0, 1, 0)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# Changelog\n", "# News\n", "it does not begin '# Changelog'"),
        ("## [Unreleased]", "## Unreleased", "its first version is not '## [Unreleased]'"),
        (
            "2026-03-01",
            "2026-02-31",
            "'## [0.2.0] - 2026-02-31 [YANKED]' is not '## [1.2.3]",
        ),
        ("## [0.1.0]", "## 0.1.0", "'## 0.1.0 - 2026-02-28' is not '## [1.2.3]"),
        ("0.1.0", "0.10.0", "0.2.0 stands above 0.10.0, but is not newer"),
        ("2026-02-28", "2026-03-02", "0.2.0 stands above 0.1.0, but is not newer"),
        ("### Fixed", "### Mended", "no section 'Mended'"),
        ("### Fixed", "### Added", "'Added' more than once"),
        ("- Three.\n", "", "## [0.2.0] - 2026-03-01 [YANKED]: 'Fixed' is empty"),
    ],
)
def test_what_is_wrong_is_told(old: str, new: str, problem: str) -> None:
    problems = found(GOOD.replace(old, new, 1))
    assert len(problems) == 1
    assert problem in problems[0]


def test_the_version_of_the_package_is_told_of() -> None:
    assert found(GOOD, (0, 1, 0)) == ["it tells of 0.2.0, but the package is 0.1.0"]
    nothing_new = GOOD.replace("### Added\n\n- One.\n\n", "")
    assert found(nothing_new) == []
    problems = found(nothing_new, (0, 3, 0))
    assert problems == ["the package is 0.3.0, which nothing is told of"]


@pytest.mark.parametrize(
    ("paths", "messages", "problem"),
    [
        (["docs/index.md", "tests/test_config.py"], "Docs", None),
        (["keras_elmo/config.py", "CHANGELOG.md"], "A field", None),
        (["keras_elmo/config.py"], "Reorder\n\nChangelog: none\n\nSo as", None),
        (["keras_elmo/config.py"], "Say Changelog: none", "keras_elmo/ changed"),
        (["keras_elmo/config.py"], "A field", "keras_elmo/ changed"),
        (["tests/public_api.txt"], "Gone\n\nChangelog: none", "public names or signatures"),
    ],
)
def test_what_a_branch_has_to_tell(
    paths: list[str], messages: str, problem: str | None
) -> None:
    told = CHECK["problem_of_change"](paths, messages)
    assert told is None if problem is None else problem in told


def test_no_git_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert CHECK["_git"]("status") is None
    assert CHECK["package_version"]()
