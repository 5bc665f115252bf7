from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_elmo.text.texts import first_tokens, read_labels, read_texts, token_counts

TEXTS = ["a cat", "", "naïve  dogs "]
BYTES = [text.encode() for text in TEXTS]


def series(values: list[Any], **arguments: Any) -> Any:
    pandas = pytest.importorskip("pandas")
    index = range(100, 100 - len(values), -1)
    return pandas.Series(values, index=index, **arguments)


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS,
        tuple(TEXTS),
        BYTES,
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS, dtype=object)[:, None],
        np.array(BYTES),
        tf.constant(TEXTS),
        tf.constant(TEXTS)[:, None],
    ],
)
def test_collections(texts: object) -> None:
    assert read_texts(texts) == BYTES


@pytest.mark.parametrize("dtype", [None, "object", "string", "category"])
def test_series(dtype: str | None) -> None:
    """In their order, whatever the index."""
    assert read_texts(series(TEXTS, dtype=dtype)) == BYTES
    assert read_texts(series(TEXTS, dtype=dtype).to_frame()) == BYTES


def test_what_has_no_utf_8_form() -> None:
    assert read_texts(["a\ud800b", b"\xff"]) == [b"ab", b"\xff"]


def test_files(tmp_path: Path) -> None:
    first, second, empty = (tmp_path / name for name in ("a.txt", "b.txt.gz", "c.txt"))
    first.write_bytes("a cat\r\n\nnaïve\u2028dogs".encode())
    second.write_bytes(gzip.compress(b"two\n\n"))
    empty.write_bytes(b"")
    lines = [b"a cat", b"", "naïve\u2028dogs".encode()]
    assert read_texts(first) == lines
    assert read_texts([second, empty, first]) == [b"two", b"", *lines]
    assert read_texts((second,)) == [b"two", b""]


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (
            "a cat",
            TypeError,
            "got the single text 'a cat'. Put it into a list; to name a f",
        ),
        (b"a cat", TypeError, "got the single text b'a cat'"),
        ([], ValueError, "texts must hold at least one text; got none"),
        (np.array([]), ValueError, "texts must hold at least one text; got none"),
        (3, TypeError, "texts must be a list, .*; got 3 of type int"),
        ({"a": 1}, TypeError, "texts must be a list, .*; got {'a': 1} of type dict"),
        (["a", None], ValueError, r"the one at position 1 is missing \(None\). Leave it"),
        (["a", "b", float("nan")], ValueError, r"position 2 is missing \(nan\)"),
        (np.array(["a", np.nan], object), ValueError, r"position 1 is missing \(nan\)"),
        (["a", 3], TypeError, "expected a string at position 1; got 3 of type int"),
        ([["a", "cat"]], TypeError, r"position 0; got \['a', 'cat'\] of type list.*join"),
        (np.array([["a", "b"]]), ValueError, r"got shape \(1, 2\). Give one string for"),
        (np.array("a"), ValueError, r"got shape \(\)"),
        (np.arange(2), TypeError, "expected a string at position 0; got .*0.* of type"),
        ([Path("none.txt")], FileNotFoundError, "texts: there is no file 'none.txt'"),
        (Path("none.txt"), FileNotFoundError, "texts: there is no file 'none.txt'"),
        (["a", Path("b")], TypeError, "expected a pathlib.Path like the others at posi"),
    ],
)
def test_refuses_texts(texts: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_texts(texts)


@pytest.mark.parametrize("dtype", ["object", "string"])
def test_refuses_a_series_with_gaps(dtype: str) -> None:
    with pytest.raises(ValueError, match="the one at position 1 is missing"):
        read_texts(series(["a", None, "b"], dtype=dtype))


def test_refuses_files_that_are_no_gzip(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    for content in (b"plain text", gzip.compress(b"some text")[:-9]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot decompress .*a.gz' .* is damaged"):
            read_texts(path)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 0, 2], np.array([1, 0, 2])),
        ((0.5, 1.5, 2.5), np.array([0.5, 1.5, 2.5])),
        ([True, False, True], np.array([True, False, True])),
        (np.eye(3, dtype=np.float16), np.eye(3, dtype=np.float16)),
        (np.array([1, 0, 2], dtype=object), np.array([1, 0, 2])),
        (tf.constant([1, 0, 2], tf.int8), np.array([1, 0, 2], np.int8)),
    ],
)
def test_labels(labels: object, expected: np.ndarray) -> None:
    found = read_labels(labels, 3)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["int64", "Int64", "object"])
def test_labels_in_a_series(dtype: str) -> None:
    found = read_labels(series([1, 0, 2], dtype=dtype), 3)
    np.testing.assert_array_equal(found, [1, 0, 2])
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([1, 0], ValueError, "labels must be as many as texts, 3; got 2"),
        (1, ValueError, "labels must be as many as texts, 3; got a single value"),
        ([1, None, 0], ValueError, "labels: the one at position 1 is missing"),
        ([1, 0, float("nan")], ValueError, "labels: the one at position 2 is missing"),
        ([[1, 2], [1, np.nan], [0, 0]], ValueError, "the one at position 1 is missing"),
        ([[1], [1, 2], [0]], ValueError, "got rows of different lengths"),
        (["pos", "neg", "pos"], TypeError, "labels must be numbers; got .*'pos'.* Number"),
        (np.array(["pos", "neg", 3], object), TypeError, "labels must be numbers; got"),
    ],
)
def test_refuses_labels(labels: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_labels(labels, 3)


def test_refuses_labels_with_gaps() -> None:
    with pytest.raises(ValueError, match="labels: the one at position 2 is missing"):
        read_labels(series([1, 0, None], dtype="Int64"), 3)


def test_tokens_are_those_of_the_layer() -> None:
    texts = [b"a b c", b"", b"  ", b" a   b\tc ", b"a"]
    assert token_counts(texts).tolist() == [3, 0, 0, 2, 1]
    assert token_counts(texts, 2).tolist() == [2, 0, 0, 2, 1]
    assert [first_tokens(text, 2) for text in texts] == [
        b"a b",
        b"",
        b"  ",
        b" a   b\tc ",
        b"a",
    ]
    assert first_tokens(b"  a  b  c ", 2) == b"a b"
