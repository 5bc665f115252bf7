"""One reader: every case that texts come in, and what is done with bad lines."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.errors import BadLine, BadLinesError
from keras_elmo.text import lines
from keras_elmo.text.reader import Sentences, read_sentences

FILES = {
    "plain": (b"the cat\na dog\n", ["the cat", "a dog"]),
    "no final newline": (b"the cat\na dog", ["the cat", "a dog"]),
    "byte order mark": (b"\xef\xbb\xbfthe cat\n\xef\xbb\xbfx\n", ["the cat", "\ufeffx"]),
    "tabs and spaces": (b" the\t cat \n", ["the cat"]),
    "carriage returns": (b"the cat\r\n\r\na\rb\n", ["the cat", "", "a b"]),
    "empty lines": (b"\nthe cat\n\n \t\n", ["", "the cat", "", ""]),
    "other line ends": ("a\u2028b\x85c\x0cd\x1ee\n".encode(), ["a b c d e"]),
    "other spaces": ("\u3000北京 naïve\xa0🙂\n".encode(), ["北京 naïve 🙂"]),
    "zero bytes": (b"a\0b c\n", ["a\0b c"]),
    "empty": (b"", []),
}

BAD = {  # the line, its problem, and its tokens when repaired
    "latin-1": (b"caf\xe9 au lait", "not UTF-8 (byte 4)", "caf\ufffd au lait"),
    "a surrogate": (b"x \xed\xa0\x80", "not UTF-8 (byte 3)", "x \ufffd\ufffd\ufffd"),
    "tokens": (b"a b\tc d e", "5 tokens, more than 4", "a b c d"),
    "length": (b"abcd " * 9, "longer than 16 MiB", "abcd abcd abcd abcd"),
}


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def tokens(sentences: Sentences) -> list[str]:
    found = [sentence.tokens.decode("utf-8") for sentence in sentences]
    assert [sentence.tokens.decode("utf-8") for sentence in sentences] == found  # twice
    return found


@pytest.mark.parametrize(("data", "expected"), FILES.values(), ids=FILES)
def test_files(data: bytes, expected: list[str], tmp_path: Path) -> None:
    for name, content in {
        "a.txt": data,
        "plain.gz": data,
        "packed": gzip.compress(data),
        "packed.txt.gz": gzip.compress(data[:5]) + gzip.compress(data[5:]),
    }.items():
        assert tokens(read_sentences(written(tmp_path / name, content))) == expected


def test_what_a_sentence_holds(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", b"\n  the\tcat  sat \r\n")
    expected = [(1, "", b"", 0), (2, "the\tcat  sat", b"the cat sat", 3)]
    assert [s[:4] for s in read_sentences(path)] == expected
    both = read_sentences([path, path], input_format="text")
    assert [s[:4] for s in both] == expected * 2
    assert [s.place for s in both] == [f"{str(path)!r}, line {n}" for n in (1, 2)] * 2
    # Strings are taken as they are: the layer splits them at spaces alone.
    found = list(read_sentences([" a\tb  c\n", ""]))
    assert [s[:4] for s in found] == [(1, " a\tb  c\n", b"a\tb c\n", 2), (2, "", b"", 0)]
    assert [s.place for s in found] == ["texts[0]", "texts[1]"]


def column(values: list[Any]) -> Any:
    """A column as Polars has it: without NumPy's protocol, without an index."""
    return SimpleNamespace(to_numpy=lambda: np.array(values, dtype=object))


def series(dtype: str | None = None) -> Callable[[list[Any]], Any]:
    def make(values: list[Any]) -> Any:
        pandas = pytest.importorskip("pandas")
        index = range(100, 100 - len(values), -1)
        return pandas.Series(values, index=index, dtype=dtype)

    return make


def tensor(values: list[str]) -> Any:
    return pytest.importorskip("tensorflow").constant(values)


TEXTS = ["a cat", "", "naïve  dogs "]


@pytest.mark.parametrize(
    "collection",
    [
        list,
        tuple,
        np.array,
        lambda texts: [text.encode() for text in texts],
        lambda texts: np.array([text.encode() for text in texts]),
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array(texts, dtype=object)[:, None],
        tensor,
        lambda texts: tensor(texts)[:, None],
        column,
        series(),
        series("object"),
        series("string"),
        series("category"),
    ],
)
def test_collections(collection: Callable[[list[str]], Any]) -> None:
    assert tokens(read_sentences(collection(TEXTS))) == ["a cat", "", "naïve dogs"]


@pytest.mark.parametrize("on_error", ["fail", "repair", "skip"])
@pytest.mark.parametrize(("bad", "problem", "repaired"), BAD.values(), ids=BAD)
def test_bad_lines(
    bad: bytes,
    problem: str,
    repaired: str,
    on_error: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 40)
    path = written(tmp_path / "a.txt", b"fine\n" + bad + b"\n\nthe end\n")
    sentences = read_sentences(path, max_tokens=4, on_error=on_error)
    place = f"{str(path)!r}, line 2"
    with caplog.at_level(logging.WARNING, "keras_elmo"):
        if on_error == "fail":
            with pytest.raises(BadLinesError, match="choose on_error='repair' or ") as info:
                list(sentences)
            assert str(info.value).endswith(f"'skip'.\n{place}: {problem}")
            assert info.value.bad_lines == [BadLine(2, problem, place)]
            assert info.value.n_bad_lines == 1
        else:
            middle = [repaired] * (on_error == "repair")
            assert tokens(sentences) == ["fine", *middle, "", "the end"]
    done = {"fail": "", "repair": "; repaired", "skip": "; left out"}[on_error]
    assert caplog.messages == [f"{place}: {problem}{done}"]  # once, whoever reads again


def test_bad_texts_in_memory() -> None:
    texts = ["fine", "a \udc80b", b"\xff", "🙂", "\ud83d\ude42"]
    reported: list[BadLine] = []
    sentences = read_sentences(
        texts, name="corpus", on_error="repair", report=reported.append
    )
    assert tokens(sentences) == ["fine", "a \ufffdb", "\ufffd", "🙂", "🙂"]
    assert [str(bad) for bad in reported] == [
        "corpus[1]: not UTF-8 (byte 3)",
        "corpus[2]: not UTF-8 (byte 1)",
        "corpus[4]: not UTF-8 (byte 1)",
    ]


def test_the_error_lists_the_first_of_many() -> None:
    with pytest.raises(BadLinesError, match=r"texts\[19\]: .*\nand 10 more, which") as info:
        list(read_sentences([b"\xff"] * 30))
    assert len(info.value.bad_lines) == 20
    assert info.value.n_bad_lines == 30
    assert str(BadLine(3, "empty")) == "line 3: empty"


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("a cat", TypeError, r"texts must be a list.*single text 'a cat'\. Put it into"),
        (b"a cat", TypeError, "got the single text b'a cat'"),
        (3, TypeError, "texts must be a list, .*; got 3 of type int"),
        ({"a": 1}, TypeError, r"list, .*; got a dict. Pass the texts in it, such as tex"),
        (["a", None], ValueError, r"texts\[1\] is missing \(None\)\. Remove it, and its"),
        (["a", "b", float("nan")], ValueError, r"texts\[2\] is missing \(nan\)"),
        (np.array(["a", np.nan], object), ValueError, r"texts\[1\] is missing \(nan\)"),
        (column(["a", None]), ValueError, r"texts\[1\] is missing \(None\)"),
        (["a", 3], TypeError, r"texts\[1\] must be a string; got 3 of type int"),
        ([["a", "cat"]], TypeError, r"texts\[0\] must be a string; got \['a', .* join"),
        (np.array([["a", "b"]]), ValueError, r"got shape \(1, 2\)\. Pass one string per"),
        (np.array("a"), TypeError, r"got array\('a', dtype='<U1'\) of type ndarray"),
        (np.arange(2), TypeError, r"texts\[0\] must be a string; got .*0.* of type"),
        (Path("none.txt"), FileNotFoundError, "texts: there is no file 'none.txt'"),
        (["a", Path("b")], TypeError, r"texts\[0\] must be a pathlib\.Path like the othe"),
        (Path(), ValueError, r"texts: '\.' is not a regular file, so that it cannot be"),
    ],
)
def test_refuses(source: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_sentences(source)


@pytest.mark.parametrize("dtype", [None, "object", "string"])
def test_refuses_a_series_with_gaps(dtype: str | None) -> None:
    with pytest.raises(ValueError, match=r"texts\[1\] is missing"):
        read_sentences(series(dtype)(["a", None, "b"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"column": "text"},
            "input_format and column apply only to files; corpus is a coll",
        ),
        ({"on_error": "ignore"}, "on_error must be one of 'fail', 'repair', 'skip'"),
        ({"max_tokens": 0}, "max_tokens must be a positive integer; got 0"),
        ({"max_tokens": True}, "max_tokens must be a positive integer; got True"),
    ],
)
def test_refuses_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_sentences(["a"], name="corpus", **arguments)
    [sentence] = read_sentences(["a b"], max_tokens=np.int64(2))
    assert sentence.n_tokens == 2


def test_damaged_gzip(tmp_path: Path) -> None:
    data = gzip.compress(bytes(range(256)) * 100)
    middle = data[:200] + b"\xff" * 40 + data[240:]
    for damaged in (data[:-30], middle, data[:-8] + bytes(8)):
        path = written(tmp_path / "a.gz", damaged)
        with pytest.raises(ValueError, match=r"a.gz' cannot be decompressed .* download "):
            list(read_sentences(path, on_error="repair"))


def test_gzip_that_unpacks_to_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "ALWAYS_ALLOWED", 1000)
    path = written(tmp_path / "bomb.txt.gz", gzip.compress(b"\n" * 500))
    assert len(list(read_sentences(path))) == 500
    written(path, gzip.compress(b"\n" * 100_000))
    with pytest.raises(ValueError, match=r"bomb.txt.gz' unpacks to over 1\d,\d{3} by"):
        list(read_sentences(path))


@given(data=st.binary(max_size=60), max_tokens=st.integers(1, 5))
def test_any_bytes_make_sentences(
    data: bytes, max_tokens: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("bytes") / "a.txt", b"x" + data)
    reported: list[BadLine] = []
    options: Any = {"on_error": "repair", "report": reported.append}
    sentences = list(read_sentences(path, max_tokens=max_tokens, **options))
    found = (b"x" + data).removesuffix(b"\n").split(b"\n")
    assert [sentence.number for sentence in sentences] == list(range(1, len(found) + 1))
    bad = {line.line for line in reported}
    for line, sentence in zip(found, sentences, strict=True):
        words = sentence.text.split()
        assert sentence.tokens.decode().split() == words[:max_tokens]
        assert sentence.n_tokens == len(words[:max_tokens])
        if sentence.number not in bad:
            assert line.decode("utf-8").split() == words
