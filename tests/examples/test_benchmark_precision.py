"""The benchmark of precisions, on a tiny model."""

from __future__ import annotations

import re

import benchmark_precision
import pytest


def test_every_precision(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark_precision.main(["--small", "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    for dtype in benchmark_precision.PRODUCTS:
        assert re.search(rf"^ +{dtype}( +\d+){{3}}$", printed, re.MULTILINE)
    rows = dict(re.findall(r"^ +(\w+) +[\d,]+ +\d+ ms +(\S+)$", printed, re.MULTILINE))
    assert list(rows) == list(benchmark_precision.POLICIES)
    errors = {policy: float(error) for policy, error in rows.items()}
    assert errors.pop("float32") == 0
    assert 0 < errors["mixed_float16"] < 2e-3
    assert all(0 < error < 2e-2 for error in errors.values())


def test_medians_take_turns() -> None:
    calls: list[str] = []
    runs = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    assert set(benchmark_precision.medians(runs, 2)) == {"a", "b"}
    assert calls == ["a", "b"] * 3
