"""The example that learns layer weights: its parts by hand, the whole on a tiny model."""

from __future__ import annotations

import importlib
import json
import re
from functools import partialmethod
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from tests.tiny_models import LEAST, saved_model


@pytest.fixture(scope="module")
def tasks() -> ModuleType:
    return importlib.import_module("layer_weights_tasks")


@pytest.fixture(scope="module")
def heads() -> ModuleType:
    return importlib.import_module("layer_weights_heads")


def test_answers_by_hand(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [["a", "b", "a"], [], ["c"], ["b", "a"]]
    assert tasks.frequent_words(texts, 2) == {"a": 0, "b": 1}
    assert tasks.itself(texts) == ["a", "b", "a", "c", "b", "a"]
    assert tasks.following(texts) == ["b", "a", None, None, "a", None]

    layers = np.arange(6, dtype=np.float16).reshape(6, 1, 1)  # (tokens, layers, D)
    classes = {"a": 0, "b": 1}
    found, numbers = tasks.answered(layers, tasks.following(texts), classes)
    assert found.dtype == np.float32
    assert found[:, 0, 0].tolist() == [0, 1, 4]
    assert numbers.tolist() == [1, 0, 0]
    # Of more than there may be, some are taken, in their order.
    monkeypatch.setattr(tasks, "N_TOKENS", 2)
    found, numbers = tasks.answered(layers, tasks.itself(texts), classes)
    places = found[:, 0, 0].astype(int)
    assert len(places) == 2
    assert places[0] < places[1]
    assert numbers.tolist() == [[0, 1, 0, -1, 1, 0][place] for place in places]


def test_mixes_are_what_they_are_called(heads: ModuleType) -> None:
    mixes = heads.make_mixes(2)
    assert list(mixes) == ["learned", "plain mean", "layer 0", "layer 1"]
    for name, mix in mixes.items():
        trained = {variable.name for variable in mix.trainable_variables}
        assert trained == ({"layer_weights"} if name == "learned" else set()) | {"gamma"}
    inputs = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    model = heads.side_by_side(list(mixes.values()), (2, 4), 5)
    probabilities = np.asarray(model(inputs))  # (3, mixes, 5)
    assert probabilities.shape == (3, 4, 5)
    mixed = [inputs.mean(axis=1), inputs.mean(axis=1), inputs[:, 0], inputs[:, 1]]
    dense = [layer for layer in model.layers if hasattr(layer, "units")]
    for i, (vectors, layer) in enumerate(zip(mixed, dense, strict=True)):
        kernel, bias = map(np.asarray, layer.weights)
        powers = np.exp(vectors @ kernel + bias)
        expected = powers / powers.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(probabilities[:, i], expected, rtol=1e-5)


def test_the_layer_that_knows_gets_the_weight(tasks: ModuleType, heads: ModuleType) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400).astype(np.int32)
    layers = random.normal(size=(400, 3, 4)).astype(np.float32)
    layers[:, 1, 0] = 4.0 * labels - 2  # the others are noise
    training, held_out = (layers[:300], labels[:300]), (layers[300:], labels[300:])
    task = tasks.Task(
        "made up", "accuracy", training, held_out, 2, tasks._accuracy(held_out[1])
    )
    outcomes = heads.train(task, 150, 0)
    learned = outcomes["learned"]
    assert sum(learned.weights) == pytest.approx(1, abs=1e-6)
    assert learned.weights[1] > 0.45
    assert max(learned.weights) == learned.weights[1]
    assert learned.gamma != 1
    assert outcomes["layer 1"].weights == [0, 1, 0]
    for name in ("learned", "layer 1"):
        assert outcomes[name].score >= 0.95
    np.testing.assert_allclose(outcomes["plain mean"].weights, 1 / 3)
    for name in ("layer 0", "layer 2"):
        assert 0.3 < outcomes[name].score < 0.7


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """Files as those of WNUT-17, with a few names."""
    data = importlib.import_module("named_entities_data")
    names = ("Bo", "Anna", "Rome")
    lines = [f"{name}\tB-name\nis\tO\nhere\tO\n.\tO\n" for name in names]
    folder = tmp_path / "wnut17"
    folder.mkdir()
    for file in data.FILES.values():
        (folder / file).write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains without graphs: to make one takes longer than a few steps."""
    compiled = keras.Model.compile
    monkeypatch.setattr(keras.Model, "compile", partialmethod(compiled, run_eagerly=True))


@pytest.mark.usefixtures("eager")
def test_whole_program(
    sentences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = importlib.import_module("layer_weights")
    least = str(saved_model(tmp_path / "least", LEAST))
    out = tmp_path / "out"
    argv = ["--source", least, "--wnut17", str(sentences), "--limit", "20"]
    argv += ["--steps", "8", "--seeds", "2", "--output", str(out)]
    assert example.main(argv) == 0
    printed = capsys.readouterr().out
    numbers: dict[str, Any] = json.loads(
        (out / "layer_weights.json").read_text(encoding="utf-8")
    )
    names = ["sentiment", "the word itself", "the next word", "named entities"]
    assert list(numbers) == names
    assert "sentiment: 20 to train on, 10 held out, 2 classes\n" in printed
    assert "named entities: 12 to train on, 12 held out, 2 classes\n" in printed
    for by_mix in numbers.values():
        assert list(by_mix) == ["learned", "plain mean", "layer 0", "layer 1"]
        for mix, weights in {
            "plain mean": [0.5, 0.5],
            "layer 0": [1, 0],
            "layer 1": [0, 1],
        }.items():
            assert [outcome["weights"] for outcome in by_mix[mix]] == [weights] * 2
        first, second = by_mix["learned"]
        assert first["weights"] != second["weights"]
        assert sum(first["weights"]) == pytest.approx(1, abs=1e-6)
        assert all(0 <= o["score"] <= 1 for seeds in by_mix.values() for o in seeds)
    scores = [outcome["score"] for outcome in numbers["named entities"]["learned"]]
    expected = f"F1 of learned +{np.mean(scores):.4f} +.{scores[0]:.4f} {scores[1]:.4f}."
    assert re.search(expected, printed)
    assert (out / "layer_weights.png").read_bytes().startswith(b"\x89PNG\r\n")

    # The features of other texts are not mixed with these.
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main([*argv, "--limit", "30"])
    assert "reviews-train.npy' is of something else: these differ: texts" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--data", "none"], "argument --data: There is no file or directory 'none'"),
        (["--wnut17", "none"], "argument --wnut17: There is no directory 'none'"),
        (["--source", "none"], "argument --source: source 'none': there is no"),
        (["--seeds", "0"], "argument --seeds: must be a whole"),
    ],
)
def test_errors(
    argv: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = importlib.import_module("layer_weights")
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main(["--output", str(tmp_path), *argv])
    assert message in capsys.readouterr().err
