"""The example that compares a long text whole and in pieces."""

from __future__ import annotations

import re

import long_texts
import numpy as np
import pytest


def test_forward_is_exact_and_backward_is_not(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--source", source, "--tokens", "20", "--piece", "8"]
    assert long_texts.main(arguments) == 0
    printed = capsys.readouterr().out
    (forward,) = re.findall(r"^forward, all tokens: (\S+)$", printed, re.MULTILINE)
    assert float(forward) < 1e-6
    rows = re.findall(r"^ +(\d+(?: to \d+)?)   +(\S+)$", printed, re.MULTILINE)
    assert [name for name, _ in rows] == ["0", "1", "2 to 3", "4 to 7"]
    backward = [float(value) for _, value in rows]
    assert all(1e-3 < value < 1 for value in backward)


def test_helpers() -> None:
    assert len(long_texts.long_text(12)) == 12
    n_all = len(long_texts.long_text(50_000))
    assert n_all == 50_000
    assert long_texts.difference(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == 0.1
