"""The n-gram baseline of the "mini" model, against a slow and obvious one."""

from __future__ import annotations

import importlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import kneser_ney
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.pretraining.vocabulary import SPECIAL_WORDS, Vocabulary

BEGIN, END = 0, 1
N_WORDS = 6
A, B, C = 3, 4, 5

Sentences = Sequence[Sequence[int]]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return importlib.import_module("mini_ngram")


class SlowKneserNey:
    """The equations of Chen and Goodman, one probability at a time."""

    def __init__(self, sentences: Sentences, order: int, outcomes: Sequence[int]) -> None:
        self.outcomes = outcomes
        self.order = order
        self.occurring: list[Counter[tuple[int, ...]]] = [
            Counter() for _ in range(order + 1)
        ]
        for sentence in sentences:
            padded = (*[BEGIN] * (order - 1), *sentence, END)
            for last in range(order - 1, len(padded)):
                for n in range(1, order + 1):
                    self.occurring[n][padded[last - n + 1 : last + 1]] += 1
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
        discount = self._discounts(counts)
        taken = sum(discount[min(counts[*history, v], 3)] for v in self.outcomes)
        count = counts[*history, word]
        return (count - discount[min(count, 3)]) / total + taken / total * lower

    def _discounts(self, counts: Counter[tuple[int, ...]]) -> list[float]:
        n = [sum(count == i for count in counts.values()) for i in range(5)]
        if 0 not in n[1:]:
            y = n[1] / (n[1] + 2 * n[2])
            estimates = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
            if min(estimates) > 0:
                return [0.0, *estimates]
        return [0.0, 0.5, 1.0, 1.5]


def _text(example: ModuleType, sentences: Sentences) -> Any:
    words = np.array(list(itertools.chain(*sentences)), np.int32)
    return example.Text(words, np.array([len(sentence) for sentence in sentences]))


def _model(
    example: ModuleType, sentences: Sentences, order: int, n_words: int = N_WORDS
) -> Any:
    tokens, is_target = example.padded(_text(example, sentences), order, BEGIN, END)
    return kneser_ney.KneserNey(tokens, is_target, n_words, order)


def _of_ngrams(model: Any, ngrams: Sequence[tuple[int, ...]]) -> np.ndarray:
    """The probabilities of the last words of n-grams of equal length."""
    tokens = np.array(ngrams, np.int32)  # (ngrams, n)
    is_target = np.zeros(tokens.shape, bool)
    is_target[:, -1] = True
    return model.probabilities(tokens.ravel(), is_target.ravel())  # (order, ngrams)


def test_by_hand(example: ModuleType) -> None:
    model = _model(example, [[A, B], [A, C]], 2)
    ngrams = [(BEGIN, A), (A, B), (B, END), (A, A), (C, B), (END, B), (A, 2)]
    single, double = _of_ngrams(model, ngrams)
    # Discounts are 0.5 and 1 here. Of 6 words 2 are "a" and 2 are ends; half of the
    # probability is left to the 5 words that can come.
    assert single == pytest.approx(
        [
            1 / 6 + 0.1,
            0.5 / 6 + 0.1,
            1 / 6 + 0.1,
            1 / 6 + 0.1,
            0.5 / 6 + 0.1,
            0.5 / 6 + 0.1,
            0.1,
        ]
    )
    # Words follow 5 pairs of words: the end two, "a", "b" and "c" one. That makes 0.3,
    # 0.2, 0.2, 0.2, and 0.1 for <UNK>; each of the histories leaves half to it.
    assert double == pytest.approx([0.6, 0.35, 0.65, 0.1, 0.1, 0.2, 0.05])


def test_discounts(example: ModuleType) -> None:
    counts = np.array([0] * 7 + [1] * 10 + [2] * 4 + [3] * 2 + [4] + [9] * 5)
    assert kneser_ney.estimate_discounts(counts) == pytest.approx((5 / 9, 7 / 6, 17 / 9))
    fallback = kneser_ney.FALLBACK_DISCOUNTS
    assert fallback == (0.5, 1.0, 1.5)
    assert kneser_ney.estimate_discounts(np.array([7, 8, 9])) == fallback
    assert kneser_ney.estimate_discounts(counts[counts != 3]) == fallback
    # Y is 1/3 with as many of 1 as of 2; 2 - 3 Y 3 would be below 0.
    assert kneser_ney.estimate_discounts(np.array([1, 2, 3, 3, 3, 4])) == fallback


_sentences = st.lists(
    st.lists(st.integers(2, N_WORDS - 1), min_size=1, max_size=6), min_size=1, max_size=9
)


@given(training=_sentences, heldout=_sentences, order=st.integers(1, 4))
def test_agrees_with_the_slow_model(
    training: Sentences, heldout: Sentences, order: int
) -> None:
    example = importlib.import_module("mini_ngram")
    model = _model(example, training, order)
    heldout_text = example.padded(_text(example, heldout), order, BEGIN, END)
    probabilities = model.probabilities(*heldout_text)  # (order, targets)
    outcomes = range(1, N_WORDS)
    for n, row in enumerate(probabilities, start=1):
        slow = SlowKneserNey(training, n, outcomes)
        expected = [
            slow.probability((*[BEGIN] * (n - 1), *sentence)[i : i + n - 1], word)
            for sentence in heldout
            for i, word in enumerate([*sentence, END])
        ]
        assert row == pytest.approx(expected, rel=1e-12)


@pytest.fixture(scope="module")
def long_text() -> list[list[int]]:
    """Made-up sentences with enough words to estimate discounts for all orders."""
    random = np.random.default_rng(0)
    shares = 1 / np.arange(1, 29)
    lengths = random.integers(1, 30, 150)
    return [
        (2 + random.choice(28, length, p=shares / shares.sum())).tolist()
        for length in lengths
    ]


def test_agrees_on_a_longer_text(example: ModuleType, long_text: list[list[int]]) -> None:
    n_words, order = 30, 3
    slow = SlowKneserNey(long_text, order, range(1, n_words))
    for counts in (*slow.occurring[2:], slow.following[2]):
        estimated = slow._discounts(counts)[1:]
        assert estimated != [0.5, 1.0, 1.5]
        given_counts = np.array(list(counts.values()))
        assert kneser_ney.estimate_discounts(given_counts) == pytest.approx(
            tuple(estimated)
        )
    random = np.random.default_rng(1)
    ngrams = [(BEGIN, BEGIN, w) for w in range(1, n_words)]
    ngrams += [tuple(ngram) for ngram in random.integers(1, n_words, (300, 3)).tolist()]
    fast = _of_ngrams(_model(example, long_text, order, n_words), ngrams)[-1]
    assert fast == pytest.approx(
        [slow.probability(ngram[:-1], ngram[-1]) for ngram in ngrams], rel=1e-12
    )


def test_probabilities_sum_to_one(example: ModuleType, long_text: list[list[int]]) -> None:
    n_words, order = 30, 3
    model = _model(example, long_text, order, n_words)
    histories = list(itertools.product(range(n_words), repeat=order - 1))
    seen = {
        pair
        for sentence in long_text
        for pair in itertools.pairwise([BEGIN, BEGIN, *sentence])
    }
    assert 200 < len(seen) < len(histories) - 200
    # After each history, all words but the one that is never predicted.
    ngrams = [(*history, w) for history in histories for w in range(1, n_words)]
    probabilities = _of_ngrams(model, ngrams).reshape(order, len(histories), n_words - 1)
    assert np.all(probabilities > 0)
    sums = probabilities.sum(axis=-1)  # (order, histories)
    np.testing.assert_allclose(sums, 1.0, rtol=0, atol=1e-12)


def test_unseen_history_leaves_all_to_the_shorter_one(example: ModuleType) -> None:
    # "b a" never occurs. Below, "a" is followed by "b" in the two contexts "<S>", "c".
    model = _model(example, [[A, B], [C, A, B]], 3)
    _, pairs, triples = _of_ngrams(model, [(B, A, B), (B, A, C), (END, END, B)])
    # In pairs "a b" occurs twice: (2 - 1) / 2 and half of what "b" has without history.
    # Words follow 5 pairs: "a" <S> and "c"; "c" <S>; "b" "a"; the end "b".
    b = (1 - 0.5) / 5 + (1 + 3 * 0.5) / 5 / 5
    assert b == pytest.approx(0.2)
    assert pairs == pytest.approx([0.5 + 0.5 * b, 0.5 * b, b])
    assert triples == pytest.approx([0.5 + 0.5 * b, 0.5 * b, b])


def test_perplexities(example: ModuleType) -> None:
    training = _text(example, [[A, B], [A, C]])
    heldout = _text(example, [[A, B]])
    single, double = example.perplexities(training, heldout, N_WORDS, 2, BEGIN, END)
    a, b = 1 / 6 + 0.1, 0.5 / 6 + 0.1
    assert single == pytest.approx((a * b * a) ** (-1 / 3))
    assert double == pytest.approx((0.6 * 0.35 * 0.65) ** (-1 / 3))


def test_padding(example: ModuleType) -> None:
    text = _text(example, [[A, B], [C]])
    tokens, is_target = example.padded(text, 3, BEGIN, END)
    assert tokens.tolist() == [BEGIN, BEGIN, A, B, END, BEGIN, BEGIN, C, END]
    assert is_target.tolist() == [False, False, True, True, True, False, False, True, True]
    tokens, is_target = example.padded(text.reversed(), 1, END, BEGIN)
    assert tokens.tolist() == [C, BEGIN, B, A, BEGIN]
    assert is_target.all()


LINES = {
    "train-0.txt": "the film was good\nthe film was bad\n",
    "train-1.txt": "\na good film\nthe end\n",
    "heldout.txt": "the bad film was\nfilm noir\n",
}


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    words = ["the", "film", "was", "good", "bad", "a", "end"]
    Vocabulary([*SPECIAL_WORDS, *words]).save(tmp_path / "vocabulary.txt")
    return tmp_path / "vocabulary.txt"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts [1]"  # not to be taken for a pattern
    folder.mkdir()
    for name, lines in LINES.items():
        (folder / name).write_text(lines, encoding="utf-8")
    return folder


def _table(printed: str) -> list[list[float]]:
    _, table = printed.split("Perplexity:\norder    forward   backward\n")
    return [[float(x) for x in line.split()] for line in table.splitlines()]


def test_whole_program(
    example: ModuleType, texts: Path, vocabulary: Path, capsys: Any
) -> None:
    assert example.main([str(texts), str(vocabulary)]) == 0
    printed = capsys.readouterr().out
    expected = "Training: 4 sentences, 13 words. Held out: 2 sentences, 6 words, 16.67% of "
    assert printed.startswith(f"{expected}them <UNK>.\n")
    ids = Vocabulary.load(vocabulary).ids
    training, heldout = (
        [ids(line.split()).tolist() for line in lines.splitlines() if line]
        for lines in (LINES["train-0.txt"] + LINES["train-1.txt"], LINES["heldout.txt"])
    )
    for n, forward, backward in (table := _table(printed)):
        slow = SlowKneserNey(training, int(n), range(1, 10))
        logs = [
            np.log(slow.probability((*[BEGIN] * (int(n) - 1), *s)[i : i + int(n) - 1], w))
            for s in heldout
            for i, w in enumerate([*s, END])
        ]
        assert forward == pytest.approx(np.exp(-np.mean(logs)), abs=0.005)
        assert backward != forward or n == 1
    assert [row[0] for row in table] == [1, 2, 3]

    # What is read from its end has the two directions exchanged.
    for name, lines in LINES.items():
        mirrored = [" ".join(line.split()[::-1]) for line in lines.splitlines()]
        (texts / name).write_text("\n".join(mirrored), encoding="utf-8")
    assert example.main([str(texts), str(vocabulary), "--order", "5"]) == 0
    rows = _table(capsys.readouterr().out)
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5]
    assert [[n, backward, forward] for n, forward, backward in rows[:3]] == table


@pytest.fixture
def error_line(
    example: ModuleType, texts: Path, vocabulary: Path, capsys: Any
) -> Callable[..., str]:
    """The last line that a run with a wrong argument writes."""

    def run(*args: str, text_dir: Path = texts, words: Path = vocabulary) -> str:
        with pytest.raises(SystemExit, match=r"^2$"):
            example.main([str(text_dir), str(words), *args])
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


def test_wrong_vocabulary(error_line: Callable[..., str], texts: Path) -> None:
    line = error_line(words=texts / "none.txt")
    assert re.search(r"argument VOCABULARY: .*No such file.*none\.txt", line)
    line = error_line(words=texts / "heldout.txt")
    assert re.search(r"argument VOCABULARY: .*heldout\.txt' is not a vocabulary: ", line)


@pytest.mark.parametrize("order", ["0", "6", "two"])
def test_wrong_order(error_line: Callable[..., str], order: str) -> None:
    assert "argument --order: invalid" in error_line("--order", order)


@pytest.mark.parametrize("name", ["heldout", "train"])
def test_no_text(error_line: Callable[..., str], texts: Path, name: str) -> None:
    message = rf"argument TEXT_DIR: there is no text in '.*{name}(-\*)?\.txt'$"
    for path in texts.glob(f"{name}*"):
        path.write_text("\n \n", encoding="utf-8")
    assert re.search(message, error_line())
    for path in texts.glob(f"{name}*"):
        path.unlink()
    assert re.search(message, error_line())
    assert re.search("there is no text", error_line(text_dir=texts / "none"))


@pytest.mark.parametrize("word", ["<S>", "</S>"])
def test_boundary_as_a_word(error_line: Callable[..., str], texts: Path, word: str) -> None:
    (texts / "train-1.txt").write_text(f"the {word} end\n", encoding="utf-8")
    line = error_line()
    assert re.search(
        r"argument TEXT_DIR: '.*train-\*\.txt' has one of the words \['<S>', '</S>'\]", line
    )
