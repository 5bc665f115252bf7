"""The example that aligns two languages: on two models that are the same, and trained."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from tests.examples.running import PNG, load_example, run

example = load_example("alignment/align_languages")


def test_equal_languages(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A language is aligned to itself; no word is both trained with and held out."""
    words = [a + b + c for a in "aei" for b in "lmnr" for c in "bdkpt"]
    text = "\n".join(" ".join(words[i::7]) for i in range(7))
    (tmp_path / "text.txt").write_text(text)
    (tmp_path / "words.txt").write_text("".join(f"{w} {w}\n\n" * 2 for w in [*words, "ff"]))
    texts = [str(tmp_path / "text.txt")] * 2
    pairs = ["--dictionary", str(tmp_path / "words.txt"), "--min-count", "1"]
    arguments = ["--models", source, source, "--texts", *texts, *pairs]
    arguments += ["--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["align_languages.py", *arguments])
    example.main()
    printed = capsys.readouterr().out
    assert "Learned from 96 pairs; 12 other words\n" in printed
    assert "find their translations among 60 " in printed
    found = re.findall(r"layer (\d) (before|after) +(\S+) \((\S+)\)\n", printed)
    ways = [(str(layer), way) for layer in range(3) for way in ("before", "after")]
    assert found == [(*way, "1.00", "1.00") for way in ways]
    assert (tmp_path / "alignment.png").read_bytes().startswith(PNG)


def test_any_translation_is_right() -> None:
    source = {"a": np.array([[1.0, 0]])}  # (layers, D)
    target = {"x": np.array([[9.0, 1]]), "y": np.array([[1, 1]]), "z": np.array([[0, 1]])}
    for right, rank in (("z", 2), ("zy", 1), ("yxz", 0)):
        assert example.ranks_of({"a": [*right]}, source, target, 0) == rank


def test_dictionary_is_read_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "words.txt"
    path.write_text("a x\n\na\ty\nb x z\n")
    arguments = ["--models", "no", "no", "--texts", "no", "no", "--dictionary", str(path)]
    monkeypatch.setattr(sys, "argv", ["align_languages.py", *arguments])
    with pytest.raises(SystemExit, match="line 4: expected two words; got 'b x z'"):
        example.main()
    path.write_text("a x\n\na\ty\n")
    assert example.read_dictionary(path) == {"a": ["x", "y"]}


def test_other_texts_are_not_overwritten(tmp_path: Path) -> None:
    cipher, english = example.made_up_texts(None, 2, tmp_path)
    before = cipher.read_bytes(), english.read_bytes()
    assert example.made_up_texts(None, 2, tmp_path) == [cipher, english]
    with pytest.raises(SystemExit, match=r"cipher\.txt has other texts\. Choose another"):
        example.made_up_texts(None, 3, tmp_path)
    assert (cipher.read_bytes(), english.read_bytes()) == before


@pytest.mark.parametrize("steps", [1, 9, 205, 333])
def test_any_number_of_steps(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = []
    monkeypatch.setattr(example, "train", lambda *args, **_: settings.append(args[3]))
    example.trained(Path("a.txt"), 0, Namespace(steps=steps, output=Path()))
    assert [each.n_steps for each in settings] == [steps]


@pytest.mark.slow
def test_whole_program(tmp_path: Path) -> None:
    """A cipher of English, on the included reviews."""
    printed = run("alignment/align_languages.py", folder=tmp_path)
    rows = re.findall(r"layer \d (before|after) +(\S+) \((\S+)\)\n", printed)
    for way, _, among_five in rows:
        assert float(among_five) < 0.15 if way == "before" else float(among_five) > 0.3
    assert len(rows) == 6
    lines = [
        (tmp_path / "alignment_output" / f"{name}.txt").read_text("utf-8").splitlines()
        for name in ("cipher", "english")
    ]
    assert [len(part) for part in lines] == [700, 700]
    assert not {*map(example.cipher, lines[0])} & {*lines[1]}
