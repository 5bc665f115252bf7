"""How "mini" was made: its text, and the n-gram models it is compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mini.ngram import KneserNey, estimate_discounts, padded, perplexities

from tests.examples.running import run, write_imdb

BEGIN, END = 0, 1
N_WORDS = 6
A, B, C = 3, 4, 5

Sentences = Sequence[Sequence[int]]


class SlowKneserNey:
    """The equations of Chen and Goodman, one probability at a time."""

    def __init__(self, sentences: Sentences, order: int, outcomes: Sequence[int]) -> None:
        self.outcomes = outcomes
        self.occurring: list[Counter[tuple[int, ...]]] = [
            Counter() for _ in range(order + 1)
        ]
        for sentence in sentences:
            tokens = (*[BEGIN] * (order - 1), *sentence, END)
            for last in range(order - 1, len(tokens)):
                for n in range(1, order + 1):
                    self.occurring[n][tokens[last - n + 1 : last + 1]] += 1
        self.following = [
            Counter(ngram[1:] for ngram in longer) for longer in self.occurring[1:]
        ]

    def probability(
        self, history: tuple[int, ...], word: int, highest: bool = True
    ) -> float:
        n = len(history) + 1
        counts = self.occurring[n] if highest else self.following[n]
        lower = 1 / len(self.outcomes)
        if history:
            lower = self.probability(history[1:], word, highest=False)
        total = sum(counts[*history, v] for v in self.outcomes)
        if not total:
            return lower
        discount = [0.0, *estimate_discounts(np.array([0, *counts.values()]))]
        taken = sum(discount[min(counts[*history, v], 3)] for v in self.outcomes)
        count = counts[*history, word]
        return (count - discount[min(count, 3)]) / total + taken / total * lower


def arrays(sentences: Sentences) -> list[np.ndarray]:
    return [np.array(sentence, np.int32) for sentence in sentences]


def test_by_hand() -> None:
    training = arrays([[A, B], [A, C]])
    tokens = np.array([BEGIN, A, A, B, B, END, A, A, C, B, END, B, A, 2], np.int32)
    model = KneserNey(*padded(training, 2, BEGIN, END), N_WORDS, 2)
    # Of each of these pairs, the second one is predicted.
    single, double = model.probabilities(tokens, np.arange(len(tokens)) % 2 == 1)
    # Discounts are 0.5 and 1 here. Of 6 words 2 are "a" and 2 are ends; half of the
    # probability is left to the 5 words that can come.
    a, b = 1 / 6 + 0.1, 0.5 / 6 + 0.1
    assert single == pytest.approx([a, b, a, a, b, b, 0.1], rel=1e-12)
    # Words follow 5 pairs of words: the end two, "a", "b" and "c" one. That makes 0.3,
    # 0.2, 0.2, 0.2, and 0.1 for <UNK>; each of the histories leaves half to it.
    assert double == pytest.approx([0.6, 0.35, 0.65, 0.1, 0.1, 0.2, 0.05], rel=1e-12)
    texts = training, arrays([[A, B]])
    expected = [(a * b * a) ** (-1 / 3), (0.6 * 0.35 * 0.65) ** (-1 / 3)]
    found = perplexities(*texts, N_WORDS, 2, BEGIN, END)
    assert found == pytest.approx(expected, rel=1e-12)


def test_discounts() -> None:
    counts = np.array([0] * 7 + [1] * 10 + [2] * 4 + [3] * 2 + [4] + [9] * 5)
    assert estimate_discounts(counts) == pytest.approx((5 / 9, 7 / 6, 17 / 9), rel=1e-12)
    # None of a count; and Y is 1/3 with as many of 1 as of 2, so 2 - 3 Y 3 is below 0.
    for too_few in ([7, 8, 9], counts[counts != 3], [1, 2, 3, 3, 3, 4]):
        assert estimate_discounts(np.array(too_few)) == (0.5, 1.0, 1.5)


sentences = st.lists(
    st.lists(st.integers(2, N_WORDS - 1), min_size=1, max_size=6), min_size=1, max_size=9
)


@given(training=sentences, heldout=sentences, order=st.integers(1, 4))
def test_agrees_with_the_slow_model(
    training: Sentences, heldout: Sentences, order: int
) -> None:
    model = KneserNey(*padded(arrays(training), order, BEGIN, END), N_WORDS, order)
    probabilities = model.probabilities(*padded(arrays(heldout), order, BEGIN, END))
    for n, row in enumerate(probabilities, start=1):
        slow = SlowKneserNey(training, n, range(1, N_WORDS))
        expected = [
            slow.probability((*[BEGIN] * (n - 1), *sentence)[i : i + n - 1], word)
            for sentence in heldout
            for i, word in enumerate([*sentence, END])
        ]
        assert row == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_text_and_perplexity(tmp_path: Path) -> None:
    data = write_imdb(tmp_path / "aclImdb", n_reviews=12)
    out = tmp_path / "text"
    printed = run("mini/prepare.py", data, out, "--held-out", 5)
    files = {path.name: path.read_text("utf-8").splitlines() for path in out.iterdir()}
    heldout = files["heldout.txt"]
    training = [line for name, lines in files.items() for line in lines]
    n_training = len(training) - len(heldout)
    assert n_training == 31
    assert f"31 reviews to train on, {len(heldout)} held out" in printed
    assert len(files) == 9
    assert not set(heldout) & {t for name in files for t in files[name] if name[0] == "t"}
    assert sorted({*training})[0] == "boring clumsy film 11 . and and and"
    assert not any("<" in line for line in training)

    words = ["<S>", "</S>", "<UNK>", "film", ".", "and"]
    (tmp_path / "vocabulary.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    printed = run("mini/ngram.py", out, tmp_path / "vocabulary.txt", "--order", 2)
    ids = [
        [[words.index(w) if w in words else 2 for w in line.split()] for line in lines]
        for lines in (
            [line for i in range(8) for line in files[f"train-{i}.txt"]],
            heldout,
        )
    ]
    rows = [line.split() for line in printed.splitlines()[-2:]]
    forward = perplexities(*map(arrays, ids), len(words), 2, BEGIN, END)
    mirrored = [[line[::-1] for line in lines] for lines in ids]
    backward = perplexities(*map(arrays, mirrored), len(words), 2, END, BEGIN)
    for n, row in enumerate(rows):
        assert int(row[0]) == n + 1
        assert float(row[1]) == pytest.approx(forward[n], abs=0.005)
        assert float(row[2]) == pytest.approx(backward[n], abs=0.005)
