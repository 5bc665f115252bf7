"""What is done with lines that cannot be embedded as they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.errors import BadLine, BadLinesError
from keras_elmo.text.records import Record
from keras_elmo.text.sentences import Sentence, make_sentence, read_sentences

RECORDS = [
    Record(1, b"  the cat\tsat \r\n"),
    Record(2, b" \n"),
    Record(3, b"a b c d e\n"),
    Record(4, b"bad \xff byte\n"),
    Record(5, b"", "not JSON"),
    Record(6, b"\xe3\x80\x80x\xc2\xa0y\n"),
]
GOOD = [Sentence(1, "the cat\tsat", b"the cat sat", 3), Sentence(6, "x\xa0y", b"x y", 2)]


def sentences(records: list[Record], on_error: Any, **options: Any) -> tuple[Any, Any]:
    told: list[BadLine] = []
    found = read_sentences(
        lambda: iter(records), on_error, 4, report=told.append, **options
    )
    return list(found), told


def test_skip() -> None:
    assert sentences(RECORDS, "skip") == (
        GOOD,
        [
            BadLine(2, "empty"),
            BadLine(3, "5 tokens, more than 4"),
            BadLine(4, "not UTF-8 (byte 5)"),
            BadLine(5, "not JSON"),
        ],
    )


def test_repair() -> None:
    found, told = sentences(RECORDS, "repair")
    assert found == [
        GOOD[0],
        Sentence(2, "", b"", 0),
        Sentence(3, "a b c d e", b"a b c d", 4),
        Sentence(4, "bad \ufffd byte", b"bad \xef\xbf\xbd byte", 3),
        Sentence(5, "", b"", 0),
        GOOD[1],
    ]
    assert [bad.line for bad in told] == [2, 3, 4, 5]


def test_fail_lists_all() -> None:
    with pytest.raises(
        BadLinesError, match=r"line 2: empty\nline 3: 5 tokens, more"
    ) as info:
        sentences(RECORDS, "fail")
    assert [bad.line for bad in info.value.bad_lines] == [2, 3, 4, 5]
    assert "more, of which" not in str(info.value)
    assert info.value.n_bad_lines == 4
    many = [Record(i, b"") for i in range(1, 31)]
    with pytest.raises(
        BadLinesError, match=r"line 20: empty\nand 10 more, of which"
    ) as info:
        sentences(many, "fail")
    assert info.value.n_bad_lines == 30
    told: list[BadLine] = []
    with pytest.raises(BadLinesError, match="line 1: empty"):
        list(read_sentences(lambda: iter(many), "fail", 4, report=told.append))
    assert [bad.line for bad in told] == list(range(1, 31))
    assert sentences([RECORDS[0], RECORDS[5]], "fail") == (GOOD, [])


def test_as_keys() -> None:
    texts = [b"a", b"a/b", b"a", b".", b"x\0", b"c . d", b""]
    records = [Record(i, text) for i, text in enumerate(texts, 1)]
    found, told = sentences(records, "skip", as_keys=True)
    assert [sentence.text for sentence in found] == ["a", "c . d"]
    assert [bad.line for bad in told] == [2, 3, 4, 5, 7]
    assert told[1] == BadLine(3, "the same as a sentence before")
    with pytest.raises(
        BadLinesError, match=r"line 2: with a '/', '.' or NUL that the name"
    ):
        sentences(records, "repair", as_keys=True)
    # What can be repaired is.
    found, told = sentences([RECORDS[2]], "repair", as_keys=True)
    assert found == [Sentence(3, "a b c d e", b"a b c d", 4)]
    assert told == [BadLine(3, "5 tokens, more than 4")]


@given(st.binary(max_size=60), st.integers(1, 5))
def test_any_bytes_make_a_sentence(data: bytes, max_tokens: int) -> None:
    sentence, problem = make_sentence(Record(7, data), max_tokens)
    tokens = sentence.tokens.decode("utf-8").split(" ") if sentence.tokens else []
    assert len(tokens) == sentence.n_tokens <= max_tokens
    assert "" not in tokens
    assert tokens == sentence.text.split()[:max_tokens]
    if problem is None:
        assert data.decode("utf-8").split() == tokens
        assert tokens
