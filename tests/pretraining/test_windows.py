from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoConfig, batch_to_character_ids
from keras_elmo.layers import TokenEncoder
from keras_elmo.pretraining.vocabulary import SPECIAL_WORDS, Vocabulary
from keras_elmo.pretraining.windows import Window, Windows
from tests.tiny_models import TINY

VOCABULARY = Vocabulary([*SPECIAL_WORDS, "a", "b", "c"])
SENTENCES = [["a", "b"], ["c"], ["d"]]  # d is unknown: 2

Pair = tuple[str, int]


def words(window: Window, known: list[str], length: int = 50) -> list[str]:
    """The window's words, found by their character ids; "" for padding."""
    rows = batch_to_character_ids([["<S>", "</S>", *known]], length)[0]
    names = dict(zip(map(bytes, rows), ["<S>", "</S>", *known], strict=True))
    found = np.pad(
        window["words"],
        [(0, 0), (0, length - window["words"].shape[1])],
        constant_values=261,
    )
    return [
        names[bytes(row)] if given.any() else ""
        for row, given in zip(found, window["words"], strict=True)
    ]


def readable(window: Window, direction: str, known: str = "abcd") -> list[str]:
    names = words(window, list(known))
    return [" ".join(names[i] or "_" for i in row) for row in window[direction]]


def targets(window: Window, direction: str) -> list[str]:
    return [" ".join(map(str, row)) for row in window[f"{direction}_targets"].tolist()]


def test_by_hand() -> None:
    windows = list(Windows(TINY, VOCABULARY, 2, 3)(SENTENCES))
    assert [(readable(w, "forward"), targets(w, "forward")) for w in windows] == [
        (["<S> a b", "<S> c </S>"], ["3 4 1", "5 1 -1"]),
        (["</S> <S> d", "_ _ _"], ["-1 2 1", "-1 -1 -1"]),
        (["</S> _ _", "_ _ _"], ["-1 -1 -1", "-1 -1 -1"]),
    ]
    # Filled from the right, where this direction begins: to be read from there.
    assert [(readable(w, "backward"), targets(w, "backward")) for w in windows] == [
        (["a b </S>", "<S> c </S>"], ["0 3 4", "-1 0 5"]),
        (["d </S> <S>", "_ _ _"], ["0 2 -1", "-1 -1 -1"]),
        (["_ _ <S>", "_ _ _"], ["-1 -1 -1", "-1 -1 -1"]),
    ]
    for window in windows:
        kinds = {name: array.dtype.name for name, array in window.items()}
        assert kinds.pop("starts") == "bool"
        assert set(kinds.values()) == {"int32"}


def test_sentences_are_read_as_needed() -> None:
    """Text may be endless; each call starts again."""
    cut = Windows(TINY, VOCABULARY, 2, 3)
    windows = cut(itertools.repeat(["a"]))
    for _ in range(3):
        assert readable(next(windows), "forward") == ["<S> a </S>"] * 2
    window = next(cut(SENTENCES))
    assert readable(window, "forward") == ["<S> a b", "<S> c </S>"]
    assert window["starts"].all()
    assert readable(next(windows), "forward") == ["<S> a </S>"] * 2


@pytest.mark.parametrize("state", ["carried", "reset"])
def test_skip(state: str) -> None:
    windows = Windows(TINY, VOCABULARY, 2, 2, state)
    whole = list(windows(SENTENCES * 3))
    for skip in range(len(whole) + 2):
        np.testing.assert_equal(list(windows(SENTENCES * 3, skip)), whole[skip:])


def test_dataset() -> None:
    """Of windows with words of any number and length."""
    windows = Windows(TINY, VOCABULARY, 2, 2)
    texts = [["a"], ["x" * 20, "b", "c"], ["y" * 60, *"abcdefghi"], ["d"]]
    dataset = windows.dataset(lambda: texts, skip=1)
    assert {spec.dtype.name for spec in dataset.element_spec.values()} == {"int32", "bool"}
    for _ in range(2):  # from the beginning each time
        found = list(dataset.as_numpy_iterator())
        np.testing.assert_equal(found, list(windows(texts))[1:])
    assert len({window["words"].shape for window in found}) > 1


def test_words_that_look_alike() -> None:
    """An empty word is no padding; the text may hold the boundaries' own names."""
    window = next(Windows(TINY, VOCABULARY, 1, 6)([["", "<S>", "b"]]))
    np.testing.assert_array_equal(window["forward_targets"], [[2, 0, 4, 1, -1, -1]])
    rows = window["words"][window["forward"][0]]
    expected = batch_to_character_ids([["<S>", "", "<S>", "b", "</S>"]])[0]
    np.testing.assert_array_equal(rows[:5], expected[:, : rows.shape[1]])
    assert not rows[5].any()


@st.composite
def numbered_sentences(draw: st.DrawFn) -> list[list[str]]:
    """Sentences that each begin with their number, so that each can be told."""
    texts = draw(st.lists(st.lists(st.sampled_from("abcde"), max_size=8), max_size=8))
    return [[str(i), *text] for i, text in enumerate(texts)]


def in_processing_order(
    windows: list[Window], names_of: list[list[str]], row: int, direction: str
) -> list[list[Pair]]:
    """What one row of each window gives one direction, with padding as ("", -1)."""
    order = 1 if direction == "forward" else -1
    by_window = []
    for window, names in zip(windows, names_of, strict=True):
        read = [names[i] for i in window[direction][row, ::order]]
        predicted = window[f"{direction}_targets"][row, ::order].tolist()
        by_window.append(list(zip(read, predicted, strict=True)))
    return by_window


def expected_pairs(sentence: list[str], carried: bool) -> tuple[list[Pair], list[Pair]]:
    ids = dict(zip([*SPECIAL_WORDS, *"abc"], range(6), strict=True))
    bounded = ["<S>", *sentence, "</S>"]
    forward, backward = (
        [(word, ids.get(following, 2)) for word, following in itertools.pairwise(text)]
        for text in (bounded, bounded[::-1])
    )
    if carried:
        forward, backward = [*forward, ("</S>", -1)], [*backward, ("<S>", -1)]
    return forward, backward


@given(
    numbered_sentences(),
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from(["carried", "reset"]),
)
def test_sentences_come_out_as_they_went_in(
    sentences: list[list[str]], batch_size: int, steps: int, state: str
) -> None:
    carried = state == "carried"
    windows = list(Windows(TINY, VOCABULARY, batch_size, steps, state)(sentences))
    names_of = [words(w, [*"abcde", *map(str, range(8))]) for w in windows]
    seen: list[int] = []
    for row in range(batch_size):
        forward, backward = (
            in_processing_order(windows, names_of, row, direction)
            for direction in ("forward", "backward")
        )
        numbers = [int(word) for word, _ in itertools.chain(*forward) if word.isdigit()]
        assert numbers == sorted(numbers)
        expected = [expected_pairs(sentences[i], carried) for i in numbers]
        starts = [bool(window["starts"][row]) for window in windows]
        for direction, (by_window, begin) in enumerate(
            ((forward, "<S>"), (backward, "</S>"))
        ):
            pairs = [pair for pair in itertools.chain(*by_window) if pair[0]]
            assert pairs == [pair for both in expected for pair in both[direction]]
            check_padding(by_window, carried)
            if not carried:
                assert starts == [pairs[0][0] in (begin, "") for pairs in by_window]
        if carried:
            assert starts == [k == 0 for k in range(len(windows))]
        seen += numbers
    assert sorted(seen) == list(range(len(sentences)))
    for window in windows:
        check_words(window)


def check_padding(by_window: list[list[Pair]], carried: bool) -> None:
    """Padding is after all words: of the row, or of a window that ends a sentence."""
    for pairs in [[*itertools.chain(*by_window)]] if carried else by_window:
        is_word = [bool(word) for word, _ in pairs]
        assert is_word == sorted(is_word, reverse=True)
        assert all(target == -1 for word, target in pairs if not word)


def check_words(window: Window) -> None:
    """Each word of the window comes once, and no others; padding is where 0 says."""
    assert window["forward"].any()
    used = set(window["forward"].flat) | set(window["backward"].flat)
    given_rows = window["words"].any(axis=1)
    assert used - {0} == set(np.flatnonzero(given_rows))
    assert not given_rows[0]
    rows = window["words"][given_rows]
    assert len(np.unique(rows, axis=0)) == len(rows)


WIDE = ElmoConfig(
    filters=((1, 4), (3, 8), (7, 16)), n_highway=0, activation="tanh", projection_dim=28
)


@pytest.mark.parametrize("config", [TINY, WIDE])
def test_no_filter_can_tell_where_the_characters_end(config: ElmoConfig) -> None:
    encoder = TokenEncoder(
        config.projection_dim, config.filters, config.char_dim, 0, config.activation
    )
    encoder.build((None, None, 50))
    embedding = np.random.default_rng(0).normal(size=(261, config.char_dim))
    embedding[260] *= 3  # many filters like padding best: it must stay in their sight
    encoder.char_embedding.assign(embedding)
    widths = set()
    for length in range(1, 52):
        sentence = ["x" * length, "a"]
        window = next(Windows(config, VOCABULARY, 1, 4)([sentence]))
        rows = window["words"][window["forward"][0]]  # (4, characters)
        whole = batch_to_character_ids([["<S>", *sentence, "</S>"]])[0]
        widths.add(rows.shape[1])
        np.testing.assert_array_equal(rows, whole[:, : rows.shape[1]])
        found, expected = (encoder(ids[None]) for ids in (rows, whole))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(widths) > 1
    assert max(widths) == 50


def test_short_rows_of_characters() -> None:
    config = ElmoConfig(filters=((2, 3),), max_characters_per_token=5, dim=4)
    window = next(Windows(config, VOCABULARY, 1, 3)([["abcdefg", "b"]]))
    np.testing.assert_array_equal(
        window["words"][window["forward"][0]],
        [[259, 257, 260, 261, 261], [259, 98, 99, 100, 260], [259, 99, 260, 261, 261]],
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "batch_size must be a positive integer; got 0"),
        ((2, True), "steps must be a positive integer; got True"),
        ((2, 3, "kept"), "sentence_state must be one of 'carried', 'reset'; got 'kept'"),
    ],
)
def test_refuses(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Windows(TINY, VOCABULARY, *arguments)
