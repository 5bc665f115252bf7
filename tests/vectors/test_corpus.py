"""Texts that are read again and again: their digest, and how they are cut into chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keras_elmo.errors import BadLinesError
from keras_elmo.vectors import corpus
from keras_elmo.vectors.corpus import Corpus
from keras_elmo.vectors.options import Options


def made(texts: Any, **options: Any) -> Corpus:
    return Corpus(texts, Options(**options))


def test_digest() -> None:
    different = [["a b", "c"], ["a", "b c"], ["c", "a b"], ["a  b", "c"], ["a b", "C"]]
    digests = [made(texts).digest for texts in different]
    assert len(set(digests)) == len(digests)
    assert made([" a b ", "c"]).digest == digests[0]


def test_names_of_datasets(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["a", "a/b", "a", ".", "x\0", "c . d", ""]
    found = made(texts, sentence_keys=True, on_error="skip")
    assert [sentence.text for sentence in found.sentences()] == ["a", "c . d"]
    no_name = "with a '/', '.' or NUL that the name of a dataset cannot have; left out"
    assert caplog.messages == [
        f"texts[1]: {no_name}",
        "texts[2]: 'a' is the same as before; left out",
        f"texts[3]: {no_name}",
        f"texts[4]: {no_name}",
        "texts[6]: empty, which cannot be the name of a dataset; left out",
    ]
    for on_error in ("fail", "repair"):
        with pytest.raises(BadLinesError, match=r"\[1\]: with a '/'[\s\S]*\[6\]: empty"):
            made(texts, sentence_keys=True, on_error=on_error)
    # What can be repaired is.
    repaired = made(["a b"], sentence_keys=True, on_error="repair", max_tokens=1)
    assert [(s.text, s.tokens) for s in repaired.sentences()] == [("a b", b"a")]


def test_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["w " * n for n in [3, 1, 1, 5, 1, 1, 1]]

    def lines(n_done: int = 0) -> list[tuple[int, list[int]]]:
        found = made(texts)
        assert [s.number for s in found.sentences()] == [1, 2, 3, 4, 5, 6, 7]
        return [(start, [s.number for s in part]) for start, part in found.chunks(n_done)]

    assert lines() == [(0, [1, 2, 3, 4, 5, 6, 7])]
    monkeypatch.setattr(corpus, "CHUNK_SENTENCES", 3)
    assert lines() == [(0, [1, 2, 3]), (3, [4, 5, 6]), (6, [7])]
    assert lines(3) == lines(4) == [(3, [4, 5, 6]), (6, [7])]
    assert lines(7) == []
    monkeypatch.setattr(corpus, "CHUNK_TOKENS", 5)
    assert lines() == [(0, [1, 2, 3]), (3, [4]), (4, [5, 6, 7])]
    monkeypatch.setattr(corpus, "CHUNK_BYTES", 1)
    assert lines(5) == [(5, [6]), (6, [7])]


@pytest.mark.parametrize(
    ("changed", "n_before"),
    [
        ("a b\nc d\ne\nf", 0),
        ("a b\nc\ne\ng", 2),  # as many tokens as before
        ("a b\nc\ne\nf\ng", 4),
        ("a b\nc", 2),
    ],
)
def test_texts_that_change(
    changed: str, n_before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of what has changed is handed on."""
    monkeypatch.setattr(corpus, "CHUNK_SENTENCES", 2)
    path = tmp_path / "a.txt"
    path.write_text("a b\nc\ne\nf\n")
    found = made(path)
    path.write_text(changed)
    iterator = found.sentences()
    assert [next(iterator).number for _ in range(n_before)] == list(range(1, n_before + 1))
    with pytest.raises(ValueError, match=f"changed .*, after sentence {n_before}. Rest"):
        next(iterator)
