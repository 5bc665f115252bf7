"""The benchmark of workers on a corpus, on a tiny model."""

from __future__ import annotations

import importlib.util
import re

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed"
)


def test_two_workers(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    import benchmark_corpus

    argv = ["--source", source, "--sentences", "40", "--workers", "2", "--layers", "top"]
    assert benchmark_corpus.main(argv) == 0
    printed = capsys.readouterr().out
    mean = float(re.findall(r"^40 sentences of ([\d.]+) tokens each$", printed, re.M)[0])
    rates = re.findall(
        r"^worker [12]: ([\d,]+) tokens/s(?:, \d\.\d GB of memory)?$", printed, re.M
    )
    first, second = (int(rate.replace(",", "")) for rate in rates)
    (together,) = re.findall(r"^together: ([\d,]+) tokens/s$", printed, re.M)
    assert abs(int(together.replace(",", "")) - first - second) <= 1
    tokens, terabytes = re.findall(r"^(\S+) tokens, (\S+) TB of vectors$", printed, re.M)[0]
    assert float(tokens) == pytest.approx(mean * 1e9, rel=0.01)
    # 16 numbers of 4 bytes for each token.
    assert float(terabytes) == pytest.approx(mean * 1e9 * 64 / 1e12, rel=0.06)
    (hours,) = re.findall(r"^([\d,]+) hours of a worker: ", printed, re.M)
    expected = mean * 1e9 / ((first + second) / 2) / 3600
    assert float(hours.replace(",", "")) == pytest.approx(expected, rel=0.03)


def test_pooled_vectors_are_one_for_each_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import benchmark_corpus

    results = [benchmark_corpus.Measured(36.0, None)]
    benchmark_corpus.print_workers(1000, 20_000, results)
    benchmark_corpus.print_billion(1000, 20_000, 1000 * 3 * 1024 * 2, results)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "worker 1: 556 tokens/s",
        "together: 556 tokens/s",
        "A billion such sentences, reckoned from that:",
        "2e+10 tokens, 6.1 TB of vectors",
        "10,000 hours of a worker: 417 for a day, or 60 for a week",
    ]


def test_a_source_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    import benchmark_corpus

    with pytest.raises(SystemExit, match="2"):
        benchmark_corpus.main(["--source", "nowhere/a"])
    assert "argument --source: " in capsys.readouterr().err.splitlines()[-1]
