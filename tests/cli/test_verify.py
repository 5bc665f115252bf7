"""``keras-elmo verify``."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.runs import Run


def test_verify(module: Path, run: Run) -> None:
    code, printed, error = run("verify", module, "--json")
    assert (code, error) == (0, "")
    found = json.loads(printed)
    assert found["path"] == str(module)
    assert found["tolerance"] == 1e-4
    assert sorted(found["errors"]) == [
        f"{signature}/{output}"
        for signature in ("default", "tokens")
        for output in ("default", "elmo", "lstm_outputs1", "lstm_outputs2", "word_emb")
    ]
    assert all(0 <= value < 1e-5 for value in found["errors"].values())


def test_verify_as_text(module: Path, run: Run) -> None:
    code, printed, _ = run("verify", module)
    assert code == 0
    heading, *rows = printed.split("\n\n")[0].splitlines()
    assert heading.split() == ["output", "largest", "difference"]
    assert len(rows) == 10
    assert all(float(row.split()[1]) < 1e-5 for row in rows)
    assert "no difference is above 1e-04" in printed


def test_verify_quietly(module: Path, run: Run) -> None:
    assert run("verify", module, "-q") == (0, "", "")


def test_verify_of_hdf5(source: str, run: Run) -> None:
    code, printed, error = run("verify", source)
    assert (code, printed) == (1, "")
    assert f"error: source {source!r} is not a TF1 Hub module" in error
