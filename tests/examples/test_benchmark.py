"""The benchmark: a quick run of every workload, its arithmetic, and its texts."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from benchmarks import machine, sides, texts, workloads
from benchmarks.comparison import Comparison

from keras_elmo import ElmoConfig
from tests.examples.running import PNG, number, run
from tests.tiny_models import TINY

SIDES = (sides.OURS, sides.HUB_ENGINE, sides.HUB_SIGNATURE)


@pytest.mark.slow
def test_every_workload(tmp_path: Path) -> None:
    module, chart = tmp_path / "module", tmp_path / "n.png"
    options = ["--small", "--module", module, "--json", tmp_path / "n.json"]
    printed = run("benchmark.py", *options, "--pairs", 1, "--chart", chart)
    assert chart.read_bytes().startswith(PNG)
    numbers = json.loads((tmp_path / "n.json").read_text("utf-8"))
    comparisons = numbers["comparisons"]
    # Seconds and memory, of loading and of the first sentence, for two styles.
    n_loads = 8 if Path("/proc/self/status").exists() else 4
    found = [comparison["workload"] for comparison in comparisons]
    assert found == ["a", "b", "c", "d", *"e" * n_loads, "f", "g"]
    for comparison in comparisons:
        assert f"({comparison['workload']}) {comparison['title']} (" in printed
        for name, values in comparison["values"].items():
            assert f"  {name} " in printed
            assert min(values) > 0
        if comparison["workload"] in "abcd":
            assert tuple(comparison["values"]) == SIDES
            assert comparison["details"]["largest output"] > 0.01
        # The layer and the module's graph compute the same, in training too.
        if comparison["workload"] != "g":
            assert max(comparison["differences"].values()) < 1e-5
    ours, theirs = comparisons[-1]["details"]["validation accuracy"].values()
    assert len(ours) == 2
    assert ours == pytest.approx(theirs, abs=1e-6)
    # The module that was made is there to be measured again.
    assert "Making" in printed
    again = ["--small", "--module", module, "--workloads", "c"]
    assert "Making" not in run("benchmark.py", *again)


def test_comparisons() -> None:
    values: dict[str, list[float]] = {"ours": [2.0, 4.0, 1.0], "theirs": [3.0, 4.0, 3.0]}
    comparison = Comparison("a", "title", "s", values, [20, 20, 20], [4, 4, 4], 16.0)
    assert comparison.ratios("theirs") == [1.5, 1.0, 3.0]
    assert comparison.rate("ours", comparison.tokens) == statistics.median([10, 5, 20])
    assert comparison.cells("ours") == ("ours", "2 s", "10", "25.0%", "", "")
    theirs = ("theirs", "3 s", "7", "16.7%", "1.50 (1.00..3.00)", "")
    assert comparison.cells("theirs") == theirs
    # Differences are seen.
    ours = [np.zeros((2, 3), np.float32), np.ones((1, 3), np.float32)]
    others = [np.zeros((2, 3), np.float32), np.array([[1, 0.75, 1.5]], np.float32)]
    outputs = {sides.OURS: ours, "theirs": others}
    assert workloads.largest_differences(outputs) == {"theirs": 0.5}


@pytest.mark.parametrize("config", [ElmoConfig(), TINY, ElmoConfig(dim=512)])
def test_lstm_work_is_a_multiply_add_for_each_weight(config: ElmoConfig) -> None:
    shapes = [s for name, s in config.array_shapes().items() if name.startswith("RNN")]
    matrices = sum(int(np.prod(shape)) for shape in shapes if len(shape) == 2)
    assert machine.lstm_work(config) == matrices


def test_work_of_words() -> None:
    config = ElmoConfig()
    # Convolutions over all 50 characters, two highways, the projection.
    convolutions = sum((51 - width) * width * 16 * count for width, count in config.filters)
    longest = convolutions + 2 * 2 * 2048**2 + 2048 * 512
    assert machine.word_work(config, 50) == machine.word_work(config, 999) == longest
    config = ElmoConfig(char_dim=3, filters=((1, 2), (2, 5)), n_highway=1, dim=4)
    step, word = machine.lstm_work(config), machine.word_work
    # Three ids make windows at four starts: the last one holds nothing but padding.
    assert word(config, 3) == 4 * 3 * 2 + 4 * 2 * 3 * 5 + 2 * 7 * 7 + 7 * 512
    # Two sentences with their boundaries, "a" and "é", which is two bytes.
    expected = (3 + 2 + 1 + 2) * step + word(config, 3) + word(config, 4)
    expected += 2 * word(config, 3)
    assert machine.useful_work(config, ["a é a", "é"]) == expected


def test_texts() -> None:
    reviews, labels = texts.seeded_reviews(40, 150, seed=1)
    lengths = [len(text.split(" ")) for text in reviews]
    assert max(lengths) == 150
    assert np.mean(np.equal(lengths, 150)) == pytest.approx(0.72, abs=0.15)
    assert labels.sum() == 20
    # Like 32 IMDB reviews, which have 4,500 tokens and 1,500 words.
    tokens = " ".join(reviews[:32]).split(" ")
    assert len(set(tokens)) / len(tokens) == pytest.approx(0.34, abs=0.03)
    assert texts.seeded_reviews(40, 150, seed=1)[0].tolist() == reviews.tolist()
    sentences = [text.split(" ") for text in texts.random_letters(200, seed=0)]
    assert {len(sentence) for sentence in sentences} == set(range(1, 31))
    assert {len(word) for s in sentences for word in s} == set(range(1, 21))
    some = np.array(["a b c", "d", "e f"], dtype=object)
    assert texts.short_sentences(some, 2).tolist() == ["a b", "e f"]
    batches = [batch.tolist() for batch in texts.batches(some, 2, 2)]
    assert batches == [["a b c", "d"], ["e f", "a b c"]]


@pytest.mark.slow
def test_precisions() -> None:
    printed = run("benchmarks/precision.py", "--small", "--repeats", 1)
    for dtype in ("float32", "bfloat16", "float16", "int8"):
        number(rf"^ +{dtype} +(\d+) +\d+ +\d+$", printed)
    errors = {
        policy: number(rf"^ +{policy} +[\d,]+ +\d+ ms +(\S+)$", printed)
        for policy in ("float32", "mixed_bfloat16", "bfloat16", "mixed_float16")
    }
    assert errors.pop("float32") == 0
    assert 0 < errors["mixed_float16"] < 2e-3
    assert all(0 < error < 2e-2 for error in errors.values())


@pytest.mark.slow
def test_two_workers(source: str) -> None:
    options = ["--source", source, "--sentences", 40, "--workers", 2]
    printed = run("benchmarks/workers.py", *options)
    mean = number(r"^40 sentences of ([\d.]+) tokens each$", printed)
    rates = [number(rf"^worker {i}: ([\d,]+) tokens/s", printed) for i in (1, 2)]
    assert number(r"^together: ([\d,]+)", printed) == pytest.approx(sum(rates), abs=1)
    assert number(r"^(\S+) tokens, ", printed) == pytest.approx(mean * 1e9, rel=0.01)
    # 3 layers of 16 numbers of 4 bytes for each token.
    terabytes = number(r"tokens, (\S+) TB in float32$", printed)
    assert terabytes == pytest.approx(mean * 1e9 * 192 / 1e12, rel=0.06)
    hours = number(r"^([\d,]+) hours of a worker: ", printed)
    assert hours == pytest.approx(mean * 1e9 / (sum(rates) / 2) / 3600, rel=0.03)
