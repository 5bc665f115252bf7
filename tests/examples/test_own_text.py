"""The example that trains a model further: its parts by hand, the whole on a tiny model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keras_elmo.pretraining import (
    BidirectionalLanguageModel,
    Vocabulary,
    evaluate,
    save_language_model,
)
from tests.examples.running import load_example, run
from tests.tiny_models import LEAST

example = load_example("own_text/train_further")
SHIPS = ["Ships sail.", "Old ships sail far.", "Far ships are old."]


def test_lines_are_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("It isn't deep.\n\n \u2028 \nNo ,  no .", encoding="utf-8")
    last = ["No", ",", "no", "."]
    assert example.read([path], False) == [["It", "isn't", "deep", "."], last]
    assert example.read([path], True) == [["It", "isn't", "deep."], last]
    assert len(example.read([], False)) == 1400


def test_division() -> None:
    lines = [["line", str(i)] for i in range(40)]
    training, held_out = example.divide(lines, 0)
    assert len(held_out) == 4
    assert sorted(training + held_out) == sorted(lines)
    assert example.divide(lines, 0) == (training, held_out)
    assert example.divide(lines, 1) != (training, held_out)
    # What stands in both parts would be known.
    for too_little in ([["same"]] * 40, lines[:4]):
        with pytest.raises(SystemExit, match="No lines can be held out"):
            example.divide(too_little, 0)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that knows words, but not yet what they say."""
    words = {word for text in SHIPS for word in text.rstrip(".").split()}
    vocabulary = Vocabulary(["<S>", "</S>", "<UNK>", ".", *sorted(words)])
    model = BidirectionalLanguageModel(LEAST, len(vocabulary), 1)
    folder = tmp_path_factory.mktemp("untrained")
    save_language_model(model, vocabulary, folder)
    return folder


@pytest.mark.slow
def test_whole_program(untrained: Path, tmp_path: Path) -> None:
    (tmp_path / "ships.txt").write_text("\n".join(SHIPS * 1000))
    (tmp_path / "other.txt").write_text("Old ships are far.\nShips sail far.")
    arguments = ["ships.txt", "--held-out", "other.txt", "--source", untrained]
    arguments += ["--epochs", "3", "--learning-rate", "0.03"]
    printed = run("own_text/train_further.py", *arguments, folder=tmp_path)
    assert "Training: 3,000 lines, 13,000 tokens, of which 0.0% are not in" in printed
    assert "Held out: 2 lines, 9 tokens, of which 0.0% are" in printed
    rows = re.findall(r"After (\d) passes: (\S+), forward (\S+), backward (\S+)", printed)
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    perplexities = [tuple(map(float, row[1:])) for row in rows]
    # 10 words are predicted; of sentences as these there are few.
    assert perplexities[0][0] > 7
    best = min(perplexities[1:])
    assert best[0] < 4

    # What is kept is the best epoch.
    out = tmp_path / "own_text_output"
    text = (out / "held_out.txt").read_text()
    assert text == "Old ships are far .\nShips sail far .\n"
    found = evaluate(out / "model", [out / "held_out.txt"])
    assert tuple(found) == pytest.approx(best, abs=0.02)
    assert (out / "perplexities.png").read_bytes().startswith(b"\x89PNG\r\n")
