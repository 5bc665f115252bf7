"""The example that trains a model further: its parts by hand, the whole on a tiny model."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from keras_elmo.pretraining import (
    BidirectionalLanguageModel,
    Vocabulary,
    evaluate,
    load_language_model,
    save_language_model,
)
from tests.tiny_models import LEAST

SHIPS = ["Ships sail.", "Old ships sail far.", "Far ships are old."]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return importlib.import_module("own_text")


def test_lines_are_taken_apart(example: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("It isn't deep.\n\n \u2028 \nNo ,  no .", encoding="utf-8")
    assert example.read_lines([str(path)], False) == ["It isn't deep .", "No , no ."]
    assert example.read_lines([str(path)], True) == ["It isn't deep.", "No , no ."]
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"No."))
    assert example.read_lines([str(tmp_path / "b*")], False) == ["No ."]
    reviews = example.read_lines([], False)
    assert len(reviews) == 320
    assert reviews[0].startswith("To my surprise this low budget robot story moved me")


def test_division(example: ModuleType) -> None:
    lines = [f"line {i}" for i in range(40)]
    training, held_out = example.divided(lines, 0)
    assert len(held_out) == 4
    assert sorted(training + held_out) == sorted(lines)
    assert example.divided(lines, 0) == (training, held_out)
    assert example.divided(lines, 1) != (training, held_out)
    # What stands in both parts would be known.
    with pytest.raises(example.TextError, match="there are 40 lines, of which none can be"):
        example.divided(["same"] * 40, 0)
    with pytest.raises(example.TextError, match="there are 4 lines, of which none"):
        example.divided(lines[:4], 0)


def test_unknown_share() -> None:
    share = importlib.import_module("own_text_training").unknown_share
    vocabulary = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b"])
    assert share(["a", "c", "b", "A"], vocabulary) == 0.5


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that knows words, but not yet what they say."""
    words = {word for text in SHIPS for word in text.rstrip(".").split()}
    vocabulary = Vocabulary(["<S>", "</S>", "<UNK>", ".", *sorted(words)])
    model = BidirectionalLanguageModel(LEAST, len(vocabulary), 1)
    folder = tmp_path_factory.mktemp("untrained")
    save_language_model(model, vocabulary, folder)
    return folder


def test_training_starts_from_the_source(untrained: Path) -> None:
    training = importlib.import_module("own_text_training")
    expected, words = load_language_model(untrained, 1)
    model, vocabulary = training.trainable_model(str(untrained), 0)
    assert vocabulary.words == words.words
    weights = zip(model.trainable_variables, expected.trainable_variables, strict=True)
    for variable, other in weights:
        np.testing.assert_array_equal(np.asarray(variable), np.asarray(other))
    assert np.std(np.asarray(model.softmax.kernel)) > 0


def test_whole_program(
    example: ModuleType,
    untrained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    training = importlib.import_module("own_text_training")
    monkeypatch.setattr(training, "BATCH_SIZE", 4)
    monkeypatch.setattr(training, "WINDOW_STEPS", 6)
    text = tmp_path / "ships.txt"
    text.write_text("\n".join(SHIPS * 60), encoding="utf-8")
    held_out = tmp_path / "other.txt"
    held_out.write_text("Old ships are far.\nShips sail far.", encoding="utf-8")
    out = tmp_path / "out"
    argv = [str(text), "--held-out", str(held_out), "--source", str(untrained)]
    argv += ["--epochs", "3", "--learning-rate", "0.05", "--output", str(out)]
    assert example.main(argv) == 0
    printed = capsys.readouterr().out
    assert "Training: 180 lines, 780 tokens, of which 0.0% are not in the" in printed
    assert "Held out: 2 lines, 9 tokens, of which 0.0% are" in printed
    numbers: list[dict[str, float]] = json.loads(
        (out / "perplexities.json").read_text(encoding="utf-8")
    )
    means = [row["mean"] for row in numbers]
    assert len(means) == 4
    # 10 words are predicted; of sentences as these there are few.
    assert means[0] > 7
    assert min(means[1:]) < 4
    assert f"Before: perplexity {means[0]:.2f}, forward {numbers[0]['forward']:.2f}" in (
        printed
    )
    assert f"Epoch 3: perplexity {means[3]:.2f}" in printed
    assert (out / "perplexities.png").read_bytes().startswith(b"\x89PNG\r\n")

    # What is kept is the best epoch, and what is printed is what "evaluate" says of it.
    path = out / "held_out.txt"
    assert path.read_text(encoding="utf-8") == "Old ships are far .\nShips sail far .\n"
    best = min(numbers[1:], key=lambda row: row["mean"])
    assert evaluate(out / "model", [path])._asdict() == pytest.approx(best, rel=1e-4)

    with pytest.raises(SystemExit, match=r"^2$"):
        example.main(argv)
    assert "argument --output: the directory '" in capsys.readouterr().err


@pytest.fixture
def error_line(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The last line that a run with a wrong argument writes."""

    def run(*args: Any) -> str:
        with pytest.raises(SystemExit, match=r"^2$"):
            example.main(["--output", str(tmp_path / "out"), *map(str, args)])
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


def test_errors(error_line: Callable[..., str], source: str, tmp_path: Path) -> None:
    texts = "argument TEXT or --held-out: "
    assert f"{texts}There is no text file 'none'" in error_line("none")
    assert f"{texts}There is no text file 'none'" in error_line("--held-out", "none")
    (tmp_path / "short.txt").write_text("a", encoding="utf-8")
    assert f"{texts}there are 1 lines, of which" in error_line(tmp_path / "short.txt")
    (tmp_path / "empty.txt").write_text(" \n", encoding="utf-8")
    assert "there are no words in " in error_line(tmp_path / "empty.txt")
    (tmp_path / "bytes.txt").write_bytes(b"caf\xe9")
    line = error_line(tmp_path / "bytes.txt")
    assert "bytes.txt' is damaged, or no text: 'utf-8' codec can't decode" in line
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"a word")[:-9])
    assert "cut.txt.gz' is damaged, or no text: " in error_line(tmp_path / "cut.txt.gz")
    assert "argument --source: source 'none'" in error_line("--source", "none")
    # A model without a softmax predicts nothing.
    assert "vocabulary.txt" in error_line("--source", source)
    for wrong in ("0", "x", "inf"):
        line = error_line("--learning-rate", wrong)
        assert f"argument --learning-rate: must be a number above 0; got '{wrong}'" in line
    assert "argument --epochs: must be a whole" in error_line("--epochs", "0")
