from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.pretraining.vocabulary import SPECIAL_WORDS, Vocabulary, count_words

SENTENCES = [["b", "a", "c"], ["a", "b", "a"], ["ä", "c", "d"]]
WORDS = st.text(min_size=1).filter(lambda word: word.split() == [word])


def test_counts() -> None:
    counts = count_words(iter(SENTENCES))
    assert counts == {"<S>": 3, "</S>": 3, "a": 3, "b": 2, "c": 2, "d": 1, "ä": 1}
    assert count_words([]) == {}


@pytest.mark.parametrize(
    ("size", "min_count", "words"),
    [
        (None, 4, []),
        (4, 1, ["a"]),
        (7, 1, ["a", "b", "c", "d"]),
        (100, 1, ["a", "b", "c", "d", "ä"]),
        (7, 3, ["a"]),
    ],
)
def test_size_and_min_count(size: int | None, min_count: int, words: list[str]) -> None:
    """Special words in the text come once."""
    counts = count_words([*SENTENCES, ["<UNK>", "</S>"]])
    vocabulary = Vocabulary.from_counts(counts, size, min_count)
    assert vocabulary.words == (*SPECIAL_WORDS, *words)
    assert len(vocabulary) == 3 + len(words)


@given(st.dictionaries(WORDS, st.integers(1, 5)))
def test_any_counts(counts: dict[str, int]) -> None:
    words = Vocabulary.from_counts(counts).words
    assert set(words) == {*SPECIAL_WORDS, *counts}
    ranks = [(-counts[word], word) for word in words[3:]]
    assert ranks == sorted(ranks)


def test_ids() -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "b"])
    ids = vocabulary.ids(iter(["b", "nothing", "<S>", "a", "</S>", "A", "<UNK>", ""]))
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, [4, 2, 0, 3, 1, 2, 2, 2])
    assert vocabulary.ids([]).shape == (0,)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_vocabulary_of_others(compress: Any, tmp_path: Path) -> None:
    """Special words anywhere, as in the 1 Billion Word Benchmark's, with its mark."""
    path = tmp_path / "vocab"
    path.write_bytes(compress("</S>\n<S>\nthe\n<UNK>\nä\n!!!MAXTERMID\n".encode()))
    vocabulary = Vocabulary.load(path)
    assert vocabulary.words == ("</S>", "<S>", "the", "<UNK>", "ä")
    assert vocabulary.ids(["<S>", "ä", "of"]).tolist() == [1, 4, 3]


@given(st.lists(WORDS.filter(lambda word: word not in SPECIAL_WORDS), unique=True))
def test_file_round_trip(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.txt"
    vocabulary = Vocabulary([*SPECIAL_WORDS, *words])
    vocabulary.save(path)
    assert Vocabulary.load(path).words == vocabulary.words
    assert path.read_bytes().decode().split("\n") == [*vocabulary.words, ""]


def test_bilm_tf_file(shared: Path, tmp_path: Path) -> None:
    folder = shared / "oracles" / "bilm_tf_tiny" / "train"
    vocabulary = Vocabulary.load(folder / "vocab.txt")
    lines = (folder / "vocab.txt").read_text("utf-8").splitlines()
    assert vocabulary.words == tuple(lines)
    assert vocabulary.words[:5] == ("<S>", "</S>", "<UNK>", "of", "the")
    np.testing.assert_array_equal(vocabulary.ids(lines), range(len(lines)))
    vocabulary.save(tmp_path / "copy.txt")
    copied = (tmp_path / "copy.txt").read_bytes()
    assert copied == (folder / "vocab.txt").read_bytes()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark(tmp_path: Path, end: str, mark: str) -> None:
    path = tmp_path / "words.txt"
    lines = (end or "\n").join([*SPECIAL_WORDS, "wörd", "\u200b"])
    path.write_bytes((mark + lines + end).encode())
    assert Vocabulary.load(str(path)).words == (*SPECIAL_WORDS, "wörd", "\u200b")


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1), min_size=1))
def test_frequencies_are_shares_of_the_targets(sentences: list[list[str]]) -> None:
    vocabulary = Vocabulary([*SPECIAL_WORDS, "a", "b", "z"])
    frequencies = vocabulary.frequencies(count_words(sentences))
    assert frequencies.sum() == pytest.approx(1)
    targets: Counter[int] = Counter()
    for words in sentences:
        targets.update(vocabulary.ids([*words, "</S>"]).tolist())  # forward
        targets.update(vocabulary.ids(["<S>", *words]).tolist())  # backward
    # In each direction, a word that does not occur counts as one that occurs once.
    expected = np.array([targets[i] or 2 for i in range(len(vocabulary))])
    np.testing.assert_allclose(frequencies, expected / expected.sum())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "c", "d"], r"<S>, </S>, <UNK> is missing from 4 words that start with"),
        (["</S>", "<UNK>", "a"], r"; <S> is missing from 3 words .*'</S>', '<UNK>', 'a'\]"),
        ([*SPECIAL_WORDS, "a", "b", "a"], "'a' is empty or repeated"),
        ([*SPECIAL_WORDS, "a", ""], "'' is empty or repeated"),
    ],
)
def test_refuses_lists(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary(words)
    with pytest.raises(ValueError, match=r"size must be more than 3; got 3"):
        Vocabulary.from_counts({"a": 1}, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"words.txt' is not a vocabulary: .*<UNK> is missing from 0 words"),
        (b"the\nof\nand\n", "words.txt' is not a vocabulary: .*<UNK> is missing"),
        (b"<S>\n</S>\n<UNK>\na\n\nb\n", "is not a vocabulary: words: '' is empty"),
        (
            b"<S>\n</S>\n<UNK>\na\na\n",
            "is not a vocabulary: words: 'a' is empty or repeated",
        ),
        (b"<S>\n</S>\n<UNK>\n\xff\n", "words.txt' is not a vocabulary: 'utf-8' codec"),
    ],
)
def test_refuses_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Vocabulary.load(path)
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        Vocabulary.load(tmp_path / "none.txt")
