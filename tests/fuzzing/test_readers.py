"""A few of the files of ``python -m tests.fuzzing`` for each reader, in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.fuzzing import targets
from tests.fuzzing.runner import Runner

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as running:
        yield running


@pytest.mark.parametrize("target", targets())
def test_damaged_files(
    target: str, runner: Runner, report_figure: Callable[[str, str], None]
) -> None:
    n_files = 8 if target == "keras" else 100
    found = runner.run(target, seed=1, start=0, n_files=n_files)
    assert found.failures == []
    assert found.counts.total() == n_files
    # Some changes are found, and some are not: the files are neither whole nor rubbish.
    assert found.counts["error"] >= n_files // 10
    least = {"keras": 0, "graph": 1}.get(target, 3)
    assert found.counts["equal"] + found.counts["data"] >= least
    report_figure(f"damaged files, {target}", str(found))
