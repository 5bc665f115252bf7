"""The benchmark: a quick run of every workload, its numbers, and its errors."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
from pathlib import Path
from typing import Any

import benchmark
import benchmark_machine
import benchmark_sides
import benchmark_texts
import benchmark_workloads
import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer
from tests.tiny_models import TINY

HUB_SIDES = (benchmark_sides.HUB_ENGINE, benchmark_sides.HUB_SIGNATURE)
FORWARD = "abcd"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What a run of all workloads prints; its files are in the folder."""
    files = ["--json", str(folder / "n.json"), "--chart", str(folder / "n.png")]
    return run("--small", "--module", str(folder / "module"), *files)


@pytest.fixture(scope="module")
def numbers(printed: str, folder: Path) -> dict[str, Any]:
    return read(folder / "n.json")


def run(*argv: str) -> str:
    with pytest.MonkeyPatch.context() as patch, io.StringIO() as output:
        patch.setenv("KERAS_ELMO_VERIFY", "1")  # the program sets it, and this restores it
        with contextlib.redirect_stdout(output):
            assert benchmark.main(argv) == 0
        return output.getvalue()


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def test_every_workload(numbers: dict[str, Any], printed: str) -> None:
    comparisons = numbers["comparisons"]
    # Seconds and memory, of loading and of the first sentence, for two styles.
    n_loads = 8 if Path("/proc/self/status").exists() else 4
    letters = [c["workload"] for c in comparisons]
    assert letters == ["a", "b", "c", "d", *"e" * n_loads, "f", "g"]
    for comparison in comparisons:
        assert f"({comparison['workload']}) {comparison['title']} (" in printed
        n_pairs = {"e": 1, "g": 1}.get(comparison["workload"], 2)
        for name, side in comparison["sides"].items():
            assert f"  {name} " in printed
            assert len(side["values"]) == n_pairs
            assert min(side["values"]) > 0
    assert numbers["settings"]["pairs"] == 2
    assert numbers["machine"]["cores"] >= 1
    assert numbers["model"]["options"] == benchmark.SMALL_CONFIG.to_options()


def test_ratios_are_quotients_of_pairs(numbers: dict[str, Any]) -> None:
    for comparison in numbers["comparisons"]:
        sides = comparison["sides"]
        subject = sides[comparison["subject"]]
        assert subject["ratios"] == [1] * len(subject["values"])
        for side in sides.values():
            ratios = np.divide(side["values"], subject["values"])
            np.testing.assert_allclose(side["ratios"], ratios, rtol=1e-12)
            assert side["ratio"] == pytest.approx(np.median(ratios))
            assert side["lowest_ratio"] == pytest.approx(ratios.min())
            assert side["highest_ratio"] == pytest.approx(ratios.max())
            assert side["median"] == statistics.median(side["values"])


def test_speeds_and_shares(numbers: dict[str, Any]) -> None:
    for comparison in numbers["comparisons"][: len(FORWARD)]:
        for side in comparison["sides"].values():
            speeds = np.divide(comparison["tokens"], side["values"])
            assert side["tokens_per_second"] == pytest.approx(np.median(speeds))
            rates = 2 * np.divide(comparison["multiply_adds"], side["values"])
            share = np.median(rates) / comparison["gemm_flops_per_second"]
            assert side["gemm_share"] == pytest.approx(share)
            assert 0 < share < 1


def test_outputs_agree(numbers: dict[str, Any]) -> None:
    for comparison in numbers["comparisons"]:
        sides = comparison["sides"]
        if comparison["workload"] in FORWARD:
            assert tuple(sides) == (benchmark_sides.OURS, *HUB_SIDES)
            assert comparison["largest_output"] > 0.01
        for name, side in sides.items():
            # Ours with trained LSTMs, and the job's models, are others than the subject.
            if "hub" in name and comparison["workload"] != "g":
                assert side["largest_difference"] < 1e-5
            else:
                assert side["largest_difference"] is None


def test_differences_are_seen() -> None:
    ours = [np.zeros((2, 3), np.float32), np.ones((1, 3), np.float32)]
    theirs = [np.zeros((2, 3), np.float32), np.array([[1, 0.75, 1.5]], np.float32)]
    outputs = {benchmark_sides.OURS: ours, "theirs": theirs, "simple_elmo": theirs}
    assert benchmark_workloads.largest_differences(outputs) == {"theirs": 0.5}


def test_training_reaches_the_same(numbers: dict[str, Any], printed: str) -> None:
    steps, job = numbers["comparisons"][-2:]
    assert len(steps["sides"]) == 4
    # All start alike; before the measured steps each took another.
    assert np.ptp([losses[0] for losses in steps["losses"].values()]) < 0.2
    ours, theirs = job["validation_accuracies"].values()
    assert len(ours) == len(theirs) == 2
    difference = np.abs(np.subtract(ours, theirs)).max()
    assert job["largest_accuracy_difference"] == difference < 1e-6
    assert f"largest difference of validation accuracies: {difference:.4f}" in printed
    seconds = job["sides"][job["subject"]]["median"]
    assert 0 < job["seconds_for_features"] < seconds


def test_chart(printed: str, folder: Path) -> None:
    assert (folder / "n.png").read_bytes().startswith(b"\x89PNG")


def test_keeps_and_uses_a_module(
    printed: str, numbers: dict[str, Any], folder: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "module").rglob("*")}
    assert before
    argv = ["--small", "--module", str(folder / "module"), "--workloads", "c"]
    again = run(*argv, "--pairs", "1", "--json", str(folder / "again.json"))
    assert "Making" in printed
    assert "Making" not in again
    assert before == {p: p.stat().st_mtime_ns for p in (folder / "module").rglob("*")}
    found = read(folder / "again.json")
    assert [c["workload"] for c in found["comparisons"]] == ["c"]
    assert found["model"] == numbers["model"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--workloads", "x"],
            "--workloads: must be letters from a, b, c, d, e, f, g, not",
        ),
        (["--pairs", "0"], "--pairs: must be a whole number from 1 to"),
        (["--words", "5"], "--words: must be a whole number from 6 to"),
        (["--threads", "1"], "--threads: TensorFlow has begun already"),
        (["--json", "nowhere/n.json"], "--json: cannot write a file 'nowhere/n.json'"),
        (["--chart", "."], "--chart: cannot write a file '.'"),
        (["--data", "nowhere"], "--data: There is no file or directory 'nowhere'"),
        (["--module", "."], "--module: '.' is no TF1 Hub module"),
    ],
)
def test_errors(
    argv: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        run("--small", *argv)
    errors = capsys.readouterr().err
    assert f"error: argument {message}" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("config", [ElmoConfig(), TINY, ElmoConfig(dim=512)])
def test_lstm_work_is_a_multiply_add_for_each_weight(config: ElmoConfig) -> None:
    shapes = [s for name, s in config.array_shapes().items() if name.startswith("RNN")]
    matrices = sum(int(np.prod(shape)) for shape in shapes if len(shape) == 2)
    assert benchmark_machine.lstm_work(config) == matrices


def test_work_of_the_original_size() -> None:
    config = ElmoConfig()
    assert benchmark_machine.lstm_work(config) == 75_497_472
    # Convolutions over all 50 characters, two highways, the projection.
    windows = [51 - width for width, _ in config.filters]
    convolutions = sum(
        n * width * 16 * count
        for n, (width, count) in zip(windows, config.filters, strict=True)
    )
    longest = convolutions + 2 * 2 * 2048**2 + 2048 * 512
    assert benchmark_machine.word_work(config, 50) == longest
    assert benchmark_machine.word_work(config, 999) == longest


def test_useful_work_counts_words_once() -> None:
    config = ElmoConfig(char_dim=3, filters=((1, 2), (2, 5)), n_highway=1, dim=4)
    step, word = benchmark_machine.lstm_work(config), benchmark_machine.word_work
    # Three ids make windows at four starts: the last one holds nothing but padding.
    assert word(config, 3) == 4 * 3 * 2 + 4 * 2 * 3 * 5 + 2 * 7 * 7 + 7 * 512
    # Two sentences with their boundaries, "a" and "é", which is two bytes.
    expected = (3 + 2 + 1 + 2) * step + word(config, 3) + word(config, 4)
    expected += 2 * word(config, 3)
    assert benchmark_machine.useful_work(config, ["a é a", "é"]) == expected


def test_seeded_reviews() -> None:
    texts, labels = benchmark_texts.seeded_reviews(40, 150, seed=1)
    lengths = [len(text.split(" ")) for text in texts]
    assert max(lengths) == 150
    assert np.mean(np.equal(lengths, 150)) == pytest.approx(0.72, abs=0.15)
    assert labels.sum() == 20
    # Like 32 IMDB reviews, which have 4,500 tokens and 1,500 words.
    tokens = " ".join(texts[:32]).split(" ")
    assert len(set(tokens)) / len(tokens) == pytest.approx(0.34, abs=0.03)
    again = benchmark_texts.seeded_reviews(40, 150, seed=1)
    np.testing.assert_array_equal(texts, again[0])
    np.testing.assert_array_equal(labels, again[1])


def test_other_texts() -> None:
    sentences = [text.split(" ") for text in benchmark_texts.random_letters(200, seed=0)]
    assert {len(sentence) for sentence in sentences} == set(range(1, 31))
    assert {len(word) for s in sentences for word in s} == set(range(1, 21))
    texts = np.array(["a b c", "d", "e f"], dtype=object)
    assert list(benchmark_texts.short_sentences(texts, 2)) == ["a b", "e f"]
    batches = benchmark_texts.batches(texts, 2)
    assert [list(next(batches)) for _ in range(2)] == [["a b c", "d"], ["e f", "a b c"]]


FAKE_SIMPLE_ELMO = """
import numpy as np
import tensorflow as tf
class ElmoModel:
    def __init__(self):
        tf.compat.v1.disable_eager_execution()
    def load(self, directory, max_batch_size):
        self.sentence_embeddings_op = max_batch_size
    def get_elmo_vectors(self, texts, warmup, session):
        assert not warmup and self.elmo_sentence_input == ("input", 7, "average")
        longest = max(map(len, texts))
        vectors = np.full((len(texts), longest, 2), 99.0)
        for row, text in zip(vectors, texts):
            row[:len(text)] = [[len(word), 1] for word in text]
        return vectors
"""
FAKES = {
    "simple_elmo/__init__.py": FAKE_SIMPLE_ELMO,
    "simple_elmo/elmo.py": "def weight_layers(name, op, use_layers): "
    "return name, op, use_layers",
    "torch/__init__.py": "",
    "allennlp/__init__.py": "",
    "allennlp/modules/__init__.py": "",
    "allennlp/modules/elmo.py": "raise ValueError('made for another version')",
}


def test_other_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a process of its own; those that fail are left out."""
    for name, code in FAKES.items():
        path = tmp_path / "fakes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "fakes"))
    sides, left_out = benchmark_sides.make_other_sides(
        ElmoEmbeddingLayer(TINY), tmp_path / "hdf5", 7, threads=1
    )
    assert left_out == {"allennlp": "ValueError: made for another version"}
    (side,) = sides
    try:
        batch = np.array(["aa b", "cccc"], dtype=object)
        seconds, (vectors,) = side.timed([batch])
    finally:
        side.close()
    assert seconds > 0
    np.testing.assert_array_equal(vectors, [[1.5, 1], [4, 1]])


def test_says_what_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_sides, "OTHERS", {"no_such_library": None})
    layer = ElmoEmbeddingLayer(TINY)
    sides, left_out = benchmark_sides.make_other_sides(layer, tmp_path, 4, None)
    assert sides == []
    assert left_out == {"no_such_library": "not installed"}
