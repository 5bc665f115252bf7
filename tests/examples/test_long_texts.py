"""The example that compares a long text whole and in pieces."""

from __future__ import annotations

import pytest

from tests.examples.running import number, run


@pytest.mark.slow
def test_forward_is_exact_and_backward_is_not(source: str) -> None:
    printed = run("long_texts.py", "--source", source, "--tokens", 20, "--piece", 8)
    assert "A text of 20 tokens, in pieces of 8." in printed
    assert number(r"^forward, all tokens: (\S+)$", printed) < 1e-6
    for name in ("0", "1", "2 to 3", "4 to 7"):
        assert 1e-3 < number(rf"^ +{name}   +(\S+)$", printed) < 1
    assert "8 to 15" not in printed
