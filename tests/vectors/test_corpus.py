"""Texts that are read again and again: their digest, and how they are cut into chunks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo.errors import BadLinesError
from keras_elmo.vectors import corpus
from keras_elmo.vectors.corpus import Corpus
from keras_elmo.vectors.options import Options

TEXTS = ["the cat sat", "", "a b c d e", "x y"]


def made(texts: Any, layer_max_tokens: int | None = None, **options: Any) -> Corpus:
    return Corpus(texts, Options(**options), layer_max_tokens)


def test_bad_lines_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "keras_elmo"):
        found = made(TEXTS, on_error="repair", max_tokens=4)
        assert [s.number for s in found.sentences()] == [1, 2, 3, 4]
    np.testing.assert_array_equal(found.n_tokens, [3, 0, 4, 2])
    assert found.n_text_bytes == sum(map(len, TEXTS))
    assert caplog.messages == ["line 3: 5 tokens, more than 4; repaired"]
    caplog.clear()
    other = made(TEXTS, on_error="skip", max_tokens=4)
    assert [s.text for s in other.sentences()] == ["the cat sat", "", "x y"]
    assert other.digest != found.digest
    assert caplog.messages == ["line 3: 5 tokens, more than 4; left out"]
    with pytest.raises(ValueError, match="there are no sentences in them"):
        made(["a b"], on_error="skip", max_tokens=1)


def test_a_layer_that_keeps_fewer_tokens() -> None:
    assert made(TEXTS, layer_max_tokens=2, max_tokens=4).n_tokens.tolist() == [2, 0, 2, 2]
    with pytest.raises(BadLinesError, match="line 3: 5 tokens, more than 4"):
        made(TEXTS, layer_max_tokens=6, max_tokens=4)


def test_digest() -> None:
    digests = [
        made(texts).digest
        for texts in (["a b", "c"], ["a", "b c"], ["c", "a b"], ["a  b", "c"], ["a b", "C"])
    ]
    assert len(set(digests)) == len(digests)
    assert made([" a b ", "c"]).digest == digests[0]


def test_names_of_datasets(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["a", "a/b", "a", ".", "x\0", "c . d", ""]
    found = made(texts, sentence_keys=True, on_error="skip")
    assert [sentence.text for sentence in found.sentences()] == ["a", "c . d"]
    no_name = "with a '/', '.' or NUL that the name of a dataset cannot have; left out"
    assert caplog.messages == [
        f"line 2: {no_name}",
        "line 3: the same as a sentence before; left out",
        f"line 4: {no_name}",
        f"line 5: {no_name}",
        "line 7: empty, which cannot be the name of a dataset; left out",
    ]
    for on_error in ("fail", "repair"):
        with pytest.raises(BadLinesError, match=r"line 2: with a '/'[\s\S]*line 7: empty"):
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
    assert lines(3) == [(3, [4, 5, 6]), (6, [7])]
    assert lines(4) == [(3, [4, 5, 6]), (6, [7])]
    assert lines(7) == []
    monkeypatch.setattr(corpus, "CHUNK_TOKENS", 5)
    assert lines() == [(0, [1, 2, 3]), (3, [4]), (4, [5, 6, 7])]
    monkeypatch.setattr(corpus, "CHUNK_BYTES", 1)
    assert lines(5) == [(5, [6]), (6, [7])]


@pytest.mark.parametrize(
    ("changed", "n_before"),
    [
        (["a b", "c d", "e", "f"], 0),
        # As many tokens as before.
        (["a b", "c", "e", "g"], 2),
        (["a b", "c", "e", "f", "g"], 4),
        (["a b", "c"], 2),
    ],
)
def test_texts_that_change(
    changed: list[str], n_before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of what has changed is handed on."""
    monkeypatch.setattr(corpus, "CHUNK_SENTENCES", 2)
    path = tmp_path / "a.txt"
    path.write_text("a b\nc\ne\nf\n")
    found = made(path)
    assert len(list(found.sentences())) == 4
    path.write_text("\n".join(changed))
    with pytest.raises(ValueError, match=f"changed .*, after sentence {n_before}. Put"):
        list(found.chunks())
    iterator = found.sentences()
    for _ in range(n_before):
        next(iterator)
    with pytest.raises(ValueError, match="texts: they have changed"):
        next(iterator)
