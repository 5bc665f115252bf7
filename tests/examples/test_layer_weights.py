"""The example that learns layer weights: its parts by hand, the whole on a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.examples.running import load_example, run
from tests.tiny_models import LEAST, saved_model

tasks = load_example("layer_weights/tasks")
heads = load_example("layer_weights/heads")


def test_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["a", "b", "a"], [], ["c"], ["b", "a"]]
    layers = np.arange(6, dtype=np.float16).reshape(6, 1, 1)  # (tokens, layers, D)
    for distance, places, classes in (
        (0, [0, 1, 2, 4, 5], [0, 1, 0, 1, 0]),
        (1, [0, 1, 4], [1, 0, 0]),
    ):
        found, numbers = tasks.answered(layers, rows, {"a": 0, "b": 1}, distance)
        assert found.dtype == np.float32
        assert found[:, 0, 0].tolist() == places
        assert numbers.tolist() == classes
    # Of more than there may be, some are taken, in their order.
    monkeypatch.setattr(tasks, "N_TOKENS", 2)
    found, numbers = tasks.answered(layers, rows, {"a": 0, "b": 1}, 0)
    first, second = found[:, 0, 0].astype(int)
    assert first < second
    assert numbers.tolist() == [[0, 1, 0, -1, 1, 0][place] for place in (first, second)]


def test_mixes_are_what_they_are_called() -> None:
    mixes = heads.make_mixes(2)
    assert list(mixes) == ["learned", "plain mean", "layer 0", "layer 1"]
    for name, mix in mixes.items():
        trained = {variable.name for variable in mix.trainable_variables}
        assert trained == ({"layer_weights"} if name == "learned" else set()) | {"gamma"}
    inputs = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    model = heads.side_by_side(mixes, (2, 4), 5)
    probabilities = np.asarray(model(inputs))  # (3, mixes, 5)
    mixed = [inputs.mean(axis=1), inputs.mean(axis=1), inputs[:, 0], inputs[:, 1]]
    dense = [layer for layer in model.layers if hasattr(layer, "units")]
    for i, (vectors, layer) in enumerate(zip(mixed, dense, strict=True)):
        kernel, bias = map(np.asarray, layer.weights)
        powers = np.exp(vectors @ kernel + bias)
        expected = powers / powers.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(probabilities[:, i], expected, atol=1e-5)


@pytest.mark.slow
def test_the_layer_that_knows_gets_the_weight() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400).astype(np.int32)
    layers = random.normal(size=(400, 3, 4)).astype(np.float32)
    layers[:, 1, 0] = 4.0 * labels - 2  # the others are noise
    training, held_out = (layers[:300], labels[:300]), (layers[300:], labels[300:])
    outcomes = heads.train(tasks.accuracy_task("made up", training, held_out, 2), 150, 0)
    learned = outcomes["learned"]
    assert sum(learned.weights) == pytest.approx(1, abs=1e-5)
    assert learned.weights[1] == max(learned.weights) > 0.45
    np.testing.assert_allclose(outcomes["layer 1"].weights, [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(outcomes["plain mean"].weights, 1 / 3, atol=1e-6)
    assert min(outcomes[name].score for name in ("learned", "layer 1")) >= 0.95
    for name in ("layer 0", "layer 2"):
        assert 0.3 < outcomes[name].score < 0.7


def test_bad_line_of_wnut17_is_named(tmp_path: Path) -> None:
    (tmp_path / "wnut17train.conll").write_text("Bo\tO\n\nAnna\tO\tO\n")
    with pytest.raises(ValueError, match=r"wnut17train.conll', line 3: expected a token"):
        tasks.named_entities("mini", tmp_path, tmp_path)


@pytest.mark.slow
def test_whole_program(tmp_path: Path) -> None:
    lines = "\n".join(
        f"{n}\tB-name\nis\tO\nhere\tO\n.\tO\n" for n in ("Bo", "Anna", "Rome")
    )
    for name in ("wnut17train.conll", "emerging.dev.conll"):
        (tmp_path / name).write_text(lines)
    source = saved_model(tmp_path / "elmo", LEAST)
    arguments = ["--source", source, "--wnut17", ".", "--limit", "20", "--steps", "8"]
    printed = run(
        "layer_weights/compare_layers.py", *arguments, "--seeds", "2", folder=tmp_path
    )
    assert "sentiment: 20 to train on, 10 held out, 2 classes\n" in printed
    assert "named entities: 12 to train on, 12 held out, 2 classes\n" in printed
    headings = re.findall(r"\n(\w.*): [\d,]+ to train on", printed)
    assert headings == ["sentiment", "the word itself", "the next word", "named entities"]
    learned = re.findall(r"weights, (\d) +(\S+) +(\S+) +gamma", printed)
    assert [seed for seed, *_ in learned] == ["0", "1"] * 4
    for _, *weights in learned:
        assert sum(map(float, weights)) == pytest.approx(1, abs=0.002)
    score, first, second = re.findall(r"F1 of learned +(\S+) +\((\S+) (\S+)\)", printed)[0]
    assert float(score) == pytest.approx((float(first) + float(second)) / 2, abs=2e-4)
    assert 0 <= float(first) <= 1
    picture = tmp_path / "layer_weights_output" / "layer_weights.png"
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")
