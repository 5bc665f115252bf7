"""The benchmark: a quick run of every workload, its arithmetic, and its texts."""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmark import make_parser
from benchmarks import load, machine, sides, texts, workers, workloads
from benchmarks.comparison import Comparison, write_chart
from benchmarks.one_backend import THREADS, measurements
from benchmarks.results import Results

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from tests.examples.running import PNG, number, run
from tests.processes import run_python
from tests.tiny_models import TINY

SIDES = (sides.OURS, sides.HUB_ENGINE, sides.HUB_SIGNATURE)
PEER = """
import json, sys
print(json.dumps("peer 1"), flush=True)
for line in sys.stdin:
    batches = json.loads(line)["batches"]
    vectors = [[[len(text)] for text in texts] for texts in batches]
    print(json.dumps({"seconds": 0.5, "vectors": vectors}), flush=True)
"""


@pytest.mark.slow
def test_every_workload(tmp_path: Path) -> None:
    module, chart, output = (tmp_path / name for name in ("module", "n.png", "n.jsonl"))
    options = ["--small", "--module", module, "--pairs", 1, "--output", output]
    # A run that was stopped after a workload.
    assert "\n(c) " in run("benchmark.py", *options, "--workloads", "c")
    printed = run("benchmark.py", *options, "--chart", chart)
    assert chart.read_bytes().startswith(PNG)
    assert "Making" not in printed  # the module that was made is measured again
    first, *lines = map(json.loads, output.read_text("utf-8").splitlines())
    assert first["pairs"] == "1"
    assert [line["name"] for line in lines] == list("cabdefghijkl")
    numbers = {line["name"]: line["result"] for line in lines}
    # Seconds and memory, of loading and of the first sentence, for two styles.
    n_loads = 8 if Path("/proc/self/status").exists() else 4
    counts = {"e": n_loads, "i": 2, "j": 2, "k": 2}
    for workload, comparisons in numbers.items():
        assert len(comparisons) == counts.get(workload, 1)
        for comparison in comparisons:
            assert f"({workload}) {comparison['title']} (" in printed
            for name, values in comparison["values"].items():
                assert f"  {name} " in printed
                assert min(values) > 0
            if workload in "abcdh":
                assert tuple(comparison["values"]) == SIDES
                assert comparison["details"]["largest output"] > 0.01
            # All compute the same, in training too.
            for side, difference in comparison["differences"].items():
                assert difference < (0.05 if "int8" in side else 1e-5)
    ours, theirs = numbers["g"][0]["details"]["validation accuracy"].values()
    assert len(ours) == 2
    assert ours == pytest.approx(theirs, abs=1e-6)
    refused = run("benchmark.py", *options, "--seed", 1, status=1)
    assert "seed = '0'; this run has '1'. Choose another file" in refused


@pytest.mark.slow
def test_backends_beside_the_plain_formulation(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = ["--small", "--backends", "torch", "--policies", "float32", "--words", 6]
    options += ["--batches", 2, "--output", tmp_path / "gpu.jsonl"]
    late = run("benchmark_gpu.py", *options, "--minutes", 0)
    assert late.count("[2]: torch: not done after 0 s; run again to continue") == 2
    printed = run("benchmark_gpu.py", *options)
    for mode in ("forward", "step"):
        number(rf"^float32 torch plain 2 {mode} +([\d.]+) ms +[\d,]+ tokens/s", printed)
        number(rf"^float32 torch keras-elmo 2 {mode} .* ([\d.]+) times plain", printed)
    assert run("benchmark_gpu.py", *options).count("kept\n") == 4
    settings = json.loads((tmp_path / "gpu.jsonl").read_text("utf-8").splitlines()[0])
    assert "torch" in settings["packages"]  # other versions would be refused


def test_loading_needs_no_extra(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)  # importing it fails
    monkeypatch.setenv("KERAS_ELMO_VERIFY", "0")
    ours, theirs = (side()(str(module))("a b")[0] for side in (load.ours, load.hub))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_peak_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "STATUS", tmp_path / "status")
    assert load.peak_gigabytes() is None
    load.STATUS.write_text("VmPeak:\t 9 kB\nVmHWM:\t 1000000 kB\n", "utf-8")
    assert load.peak_gigabytes() == pytest.approx(1.024)  # a kB has 1,024 bytes


def test_results_outlive_a_stopped_run(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    Results(path, {"seed": 0})["a"] = [1.5]
    whole = path.read_text("utf-8")
    path.write_text(whole + '{"name": "b", "res', "utf-8")
    assert Results(path, {"seed": 0}) == {"a": [1.5]}
    assert path.read_text("utf-8") == whole
    with pytest.raises(SystemExit, match="seed = 0; this run has 1"):
        Results(path, {"seed": 1})


def test_a_peer_measures_itself(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}{PEER}", "utf-8")
    python.chmod(0o755)
    peer = sides.Peer(python, tmp_path, threads=1)
    with peer.process:
        assert peer.name == "peer 1"
        seconds, (vectors, more) = peer.timed([np.array(["a b", "c"]), np.array(["d"])])
        assert seconds == 0.5
        assert (vectors.tolist(), more.tolist()) == ([[3], [1]], [[1]])
    with pytest.raises(SystemExit, match=f"--peer-python: {sys.executable} has ended"):
        sides.Peer(Path(sys.executable), tmp_path, None).timed([])


def test_threads_of_a_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    python.write_text(f"#!{sys.executable}\n{code}", "utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    (variables,) = measurements("jax", {}, threads=3)
    assert [variables[name] for name in THREADS.values()] == ["3", "3", "3"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", THREADS)
def test_variables_limit_threads(backend: str) -> None:
    pytest.importorskip(backend)
    if not Path("/proc/self/task").exists():
        pytest.skip("the system does not count threads")
    code = "from keras import ops; x = ops.ones((500, 500)); ops.mean(x @ x)\n"
    code += "import os; print(len(os.listdir('/proc/self/task')))"
    settings = {"KERAS_BACKEND": backend, "OPENBLAS_NUM_THREADS": "1"}
    one, nine = (int(run_python(code, **settings, **{THREADS[backend]: n})) for n in "19")
    assert nine > one


def test_comparisons() -> None:
    values: dict[str, list[float]] = {"ours": [2.0, 4.0, 1.0], "theirs": [3.0, 4.0, 3.0]}
    comparison = Comparison("a", "title", "s", values, [20, 20, 20], [0.5, 0.5, 0.5])
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


def test_a_side_that_is_missing(tmp_path: Path) -> None:
    found = machine.description()["packages"].split(", ")
    assert f"onnxruntime {importlib.metadata.version('onnxruntime')}" in found
    assert not [package for package in found if "allennlp" in package]
    alone = Comparison("k", "title", "s", {"ours": [2.0]})
    write_chart(tmp_path / "n.png", [alone], "heading")
    assert (tmp_path / "n.png").read_bytes().startswith(PNG)


def test_letters_of_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    assert make_parser().parse_args(["--workloads", "ac"]).workloads == "ac"
    with pytest.raises(SystemExit, match="2"):
        make_parser().parse_args(["--workloads", "a,c"])
    assert "letters of abcdefghijkl, such as acd; got 'a,c'" in capsys.readouterr().err


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
    # Two sentences with a boundary each, "a" and "é", which is two bytes.
    expected = (3 + 1 + 1 + 1) * step + word(config, 3) + word(config, 4)
    expected += 2 * word(config, 3)
    assert machine.useful_work(config, ["a é a", "é"]) == expected
    # Four steps, the first without a state, in both directions of two layers.
    again = 2 * 512 * 4 * 4 + 3 * 4 * 512
    n_bytes = 4 * (config.n_parameters + 2 * 2 * again)
    assert machine.weight_bytes(config, ["a é a", "é"]) == n_bytes
    assert machine.Rates(1e9, 2.0).bound(config, ["a é a", "é"]) == n_bytes / 2
    assert machine.Rates(2.0, 1e9).bound(config, ["a é a", "é"]) == expected


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


def test_a_worker_does_not_time_tracing(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    class Counted(ElmoEmbeddingLayer):
        def call(self, inputs: Any) -> Any:
            calls.append(inputs.shape)
            return super().call(inputs)

    monkeypatch.setattr(workers, "ElmoEmbeddingLayer", Counted)
    traced = []
    barrier = SimpleNamespace(wait=lambda: traced.extend(calls), abort=lambda: None)
    monkeypatch.setattr(workers, "barrier", barrier)
    # Batches of 128, 128 and 44.
    *_, memory = workers.measure(source, ["a b"] * 128 + ["a b c"] * 172, pooled=True)
    assert calls == traced != []
    assert memory == pytest.approx(load.peak_gigabytes() or 0, rel=0.01)


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
