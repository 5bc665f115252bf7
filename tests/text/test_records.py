"""Files to lines and texts: text, JSON lines, CSV, gzip, and what is wrong in them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.text import lines
from keras_elmo.text import records as records_module
from keras_elmo.text.lines import Line, read_lines
from keras_elmo.text.records import Record, corpus_records


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def records(corpus: Any, **options: Any) -> list[Record]:
    options = {"input_format": None, "column": None, **options}
    read = corpus_records(corpus, **options)
    found = list(read())
    assert list(read()) == found  # it is read several times
    return found


def test_lines(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbfone\ntwo\r\n\nlast"
    expected = [Line(1, b"one\n"), Line(2, b"two\r\n"), Line(3, b"\n"), Line(4, b"last")]
    assert list(read_lines(written(tmp_path / "a.txt", data))) == expected
    packed = written(tmp_path / "packed", gzip.compress(data))
    assert list(read_lines(packed)) == expected
    assert list(read_lines(written(tmp_path / "empty", b""))) == []


def test_long_lines_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 4)
    path = written(tmp_path / "a.txt", b"abc\nabcd\nabcdefghijk\nx")
    assert list(read_lines(path)) == [
        Line(1, b"abc\n"),
        Line(2, b"abcd", is_cut=True),
        Line(3, b"abcd", is_cut=True),
        Line(4, b"x"),
    ]
    assert records(path)[1] == Record(2, b"abcd", "longer than 16 MiB")


def test_damaged_gzip(tmp_path: Path) -> None:
    data = gzip.compress(bytes(range(256)) * 100)
    for damaged in (
        data[:-30],
        data[:200] + b"\xff" * 40 + data[240:],
        data[:-8] + bytes(8),
    ):
        path = written(tmp_path / "a.gz", damaged)
        with pytest.raises(ValueError, match=r"cannot decompress .*a.gz'.* get it again"):
            list(read_lines(path))


def test_no_file(tmp_path: Path) -> None:
    for reads in (read_lines, lambda path: corpus_records(path, None, None)):
        with pytest.raises(FileNotFoundError, match=r"corpus: there is no file .*none'"):
            list(reads(tmp_path / "none"))


def test_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", b"the cat\n\n\xff\n")
    assert records(path) == [
        Record(1, b"the cat\n"),
        Record(2, b"\n"),
        Record(3, b"\xff\n"),
    ]
    assert records(str(path)) == records(path)


def test_collections() -> None:
    expected = [Record(1, b"the cat"), Record(2, b"a dog")]
    assert records(["the cat", "a dog"]) == expected
    with pytest.raises(ValueError, match="input_format and column are for files; got them"):
        records(["the cat"], column="text")
    with pytest.raises(TypeError, match="corpus must be a list"):
        records(3)
    with pytest.raises(ValueError, match="corpus must hold at least one text"):
        records([])
    # Half of a pair of surrogates has no UTF-8 form; it is told, not dropped.
    assert records(["a \udc80b"]) == [Record(1, b"a \xed\xb2\x80b")]


def test_json_lines(tmp_path: Path) -> None:
    rows = [
        b'{"id": 1, "text": "the cat"}\n',
        b"\n",
        b'{"text": "caf\xc3\xa9 \\u00e9 \xff"}\n',
        b'{"text": 3}\n',
        b'["text"]\n',
        b"{\n",
        b'{"text": "\\ud800"}\n',
        b"[" * 100_000,
    ]
    for name in ("a.jsonl", "a.ndjson", "a.JSONL.gz"):
        found = records(written(tmp_path / name, b"".join(rows)), column="text")
        assert found[:3] == [
            Record(1, b"the cat"),
            Record(2, b""),
            Record(3, b"caf\xc3\xa9 \xc3\xa9 \xff"),
        ]
        assert [record.problem for record in found[3:5]] == [
            "no object with a string 'text'"
        ] * 2
        assert found[5].problem is not None
        assert found[5].problem.startswith("not JSON (Expecting property name")
        # Half of a pair of surrogates, which is no UTF-8.
        assert found[6].text == b"\xed\xa0\x80"
        assert found[7].problem is not None
    path = written(tmp_path / "b.jsonl", b'{"t": "caf\\udcc3\\udca9 \xff \\ud800"}')
    assert records(path, column="t")[0].text != b"caf\xc3\xa9"
    path = written(tmp_path / "c.jsonl", b'{"t": "caf\\udcc3\\udca9"}')
    assert records(path, column="t") == [Record(1, b"caf\xed\xb3\x83\xed\xb2\xa9")]
    # Python makes no integer of so many digits.
    path = written(tmp_path / "d.jsonl", b'{"id": ' + b"7" * 5000 + b', "t": "x"}')
    assert records(path, column="t") == [Record(1, b"x")]


@pytest.mark.parametrize(("name", "comma"), [("a.csv", b","), ("a.tsv", b"\t")])
def test_csv(tmp_path: Path, name: str, comma: bytes) -> None:
    rows = [
        b"id,text\n",
        b"1,the cat\n",
        b'2,"a ""dog"", or\ntwo"\n',
        b"3\n",
        b"\n",
        b"4,caf\xc3\xa9\xff\n",
        b'5,"a"b\n',
        b"6,last",
    ]
    path = written(tmp_path / name, b"".join(rows).replace(b",", comma))
    told = b", or\n".replace(b",", comma)
    found = records(path, column="text")
    assert found[0] == Record(2, b"the cat")
    assert found[1] == Record(3, b'a "dog"' + told + b"two")
    assert found[2] == Record(5, b"", "1 fields, not 2")
    assert found[3] == Record(6, b"")
    assert found[4] == Record(7, b"caf\xc3\xa9\xff")
    assert found[5].line == 8
    assert found[5].problem is not None
    assert found[5].problem.startswith("not CSV (")
    assert found[6] == Record(9, b"last")


def test_fields_of_csv_may_be_long(tmp_path: Path) -> None:
    text = b"a " * 150_000
    path = written(tmp_path / "a.csv", b"text\n" + text + b"\n")
    assert records(path, column="text") == [Record(2, text)]


def test_csv_with_a_quote_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.csv", b'text\nfine\n"oh\nno\n')
    assert records(path, column="text")[1:] == [
        Record(3, b"", "not CSV, up to line 4 (unexpected end of data)")
    ]
    for module in (lines, records_module):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 12)
    for text in (b"longer than twelve", b'"longer\nthan\ntwelve'):
        path = written(tmp_path / "b.csv", b"text\nfine\n" + text)
        with pytest.raises(
            ValueError, match=r"row that begins in line 3 is longer than 16 MiB: this is no"
        ):
            records(path, column="text")


def test_columns(tmp_path: Path) -> None:
    table = written(tmp_path / "a.csv", b"id,text\n1,x\n")
    text = written(tmp_path / "a.txt", b'{"text": "x"}\n')
    with pytest.raises(
        ValueError, match=r"exactly one that .*, 'id', 'text'; got 'review'"
    ):
        records(table, column="review")
    with pytest.raises(ValueError, match=r"column must name the field .* read as csv"):
        records(table)
    with pytest.raises(
        ValueError, match=r"column='text' is for JSON lines and CSV; .*a.txt"
    ):
        records(text, column="text")
    with pytest.raises(
        ValueError, match="input_format must be one of 'text', 'jsonl', 'csv"
    ):
        records(text, input_format="xml")
    assert records(text, input_format="jsonl", column="text") == [Record(1, b"x")]
    assert records(table, input_format="text")[0] == Record(1, b"id,text\n")
    empty = written(tmp_path / "empty.csv", b"")
    with pytest.raises(ValueError, match=r"names, ; got 'text'"):
        records(empty, column="text")
    broken = written(tmp_path / "broken.csv", b'"a"b,text\n')
    with pytest.raises(ValueError, match=r"must name the columns; it is not CSV"):
        records(broken, column="text")


@given(texts=st.lists(st.text(st.characters(exclude_characters="\n")), max_size=5))
def test_any_text_comes_back(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    texts = ["first", *texts]
    packed = gzip.compress("\n".join(texts).encode("utf-8") + b"\n")
    found = records(written(folder / "a.gz", packed))
    assert [r.text.decode().removesuffix("\n") for r in found] == texts
    rows = "".join(json.dumps({"t": text}) + "\n" for text in texts).encode()
    found = records(written(folder / "a.jsonl", rows), column="t")
    assert [(r.line, r.text.decode(), r.problem) for r in found] == [
        (i, text, None) for i, text in enumerate(texts, 1)
    ]


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    found = records(written(folder / "a.txt", b"x" + data))
    assert b"".join(record.text for record in found) == b"x" + data
    records(written(folder / "a.jsonl", b"x" + data), column="text")
    try:
        records(written(folder / "a.csv", b"text\n" + data), column="text")
    except ValueError as error:
        assert "corpus" in str(error)  # noqa: PT017
