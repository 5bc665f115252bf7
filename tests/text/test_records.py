"""JSON lines and CSV: the field that holds the text, and what is wrong in the others."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo.errors import BadLine
from keras_elmo.text import conll, fasta, lines
from keras_elmo.text import records as records_module
from keras_elmo.text.reader import read_sentences


def read(path: Path, data: bytes, **options: Any) -> dict[int, str]:
    """The tokens of each good line, and the problem of each bad one."""
    path.write_bytes(data)
    reported: list[BadLine] = []
    sentences = read_sentences(path, on_error="skip", report=reported.append, **options)
    found = {sentence.number: sentence.tokens.decode("utf-8") for sentence in sentences}
    return dict(sorted({**found, **{bad.line: bad.problem for bad in reported}}.items()))


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.JSONL.gz"])
def test_json_lines(name: str, tmp_path: Path) -> None:
    rows = {
        b'\xef\xbb\xbf{"id": 1, "text": "the\\tcat\\n"}': "the cat",
        b"": "",
        b'{"text": "caf\xc3\xa9 \\u00e9"}\r': "café é",
        b'{"text": "caf\xe9"}': "not UTF-8 (byte 4)",
        b'{"text": "x", "other": "caf\xe9"}': "x",
        b'{"text": "\\ud800"}': "not UTF-8 (byte 1)",
        b'{"text": "caf\\udcc3\\udca9"}': "not UTF-8 (byte 4)",
        b'{"text": 3}': "no object with a string 'text'",
        b'{"text": null}': "no object with a string 'text'",
        b'["text"]': "no object with a string 'text'",
        # Python makes no integer of so many digits.
        b'{"id": ' + b"7" * 5000 + b', "text": "x"}': "x",
    }
    data = b"\n".join(rows)
    packed = gzip.compress(data) if name.endswith(".gz") else data
    found = read(tmp_path / name, packed, column="text")
    assert found == dict(enumerate(rows.values(), 1))
    found = read(tmp_path / "b.jsonl", b"{\n" + b"[" * 100_000 + b"\n\0", column="text")
    assert found[1].startswith("not JSON (Expecting property name")
    assert [problem.startswith("not JSON (") for problem in found.values()] == [True] * 3


@pytest.mark.parametrize(("name", "comma"), [("a.csv", b","), ("a.tsv", b"\t")])
def test_csv(name: str, comma: bytes, tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfid,text\r\n1,the  cat\r\n2,"a ""dog"" or\ntwo"\n3\n\n4,caf\xe9\n'
    data = (data + b'caf\xe9,x\n5,"a"b\n6,last').replace(b",", comma)
    found = read(tmp_path / name, data, column="text")
    assert found.pop(9).startswith("not CSV (")
    assert found == {
        2: "the cat",
        3: 'a "dog" or two',
        5: "1 fields, not 2",
        6: "",
        7: "not UTF-8 (byte 4)",
        8: "x",
        10: "last",
    }
    long = b"a " * 150_000
    found = read(tmp_path / name, b"text\n" + long, column="text")
    assert found == {2: long.decode().strip()}


def test_csv_with_a_quote_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    assert read(path, b'text\nfine\n"oh\nno\n', column="text") == {
        2: "fine",
        3: "not CSV, up to line 4 (unexpected end of data)",
    }
    for module in (lines, records_module):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 12)
    limit = csv.field_size_limit()
    for text in (b"longer than twelve", b'"longer\nthan\ntwelve', b'"\n",' * 6):
        with pytest.raises(
            ValueError, match=r"row that starts in line 3 is longer than 16 MiB\. The file"
        ):
            read(path, b"text\nfine\n" + text, column="text")
    assert len(read(path, b"text\n" + b"abcdefgh\n" * 100, column="text")) == 100
    csv.field_size_limit(limit)


@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        (
            "a.csv",
            b"id,text\n",
            {"column": "x"},
            "exactly one column .*, 'id', 'text'; got",
        ),
        ("a.csv", b"t,t\n", {"column": "t"}, "exactly one column .*, 't', 't'; got 't'"),
        ("a.csv", b"id,text\n", {}, r"column must name the field .* read as csv"),
        ("a.csv", b"", {"column": "t"}, "which is empty; got 't'"),
        ("a.csv", b'"a"b,t\n', {"column": "t"}, "must name the columns; it is not CSV"),
        ("a.txt", b"x", {"column": "t"}, "applies only to JSON Lines, CSV and CoN.*a.txt"),
        ("a.fa", b"", {"column": "t"}, "'t' applies only to JSON Lines, CSV and .*FASTA"),
        ("a.conllu", b"1", {"column": "X"}, "column must be one of ID, FORM, .*; got 'X'"),
        ("a.conllu", b"1", {"column": "11"}, "or its number; got '11'"),
        ("a.conll", b"x", {"column": "FORM"}, "column must be a number from 1 on; got 'FO"),
        ("a.txt", b"x", {"input_format": "xml"}, "input_format must be one of 'text', 'js"),
    ],
)
def test_refuses(
    name: str, data: bytes, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name, data, **options)


def test_the_format_goes_before_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    data = b'{"text": "x y"}'
    assert read(path, data, input_format="jsonl", column="text") == {1: "x y"}
    assert read(tmp_path / "a.csv", data, input_format="text") == {1: '{"text": "x y"}'}


FASTA = b"""\xef\xbb\xbf>sp|P1|A first protein\r
SEQ wen\r
cE*
; a comment

>P2
>P3
M1
> \t
MM
>P4 \xff
M
>P\xff
M
"""
WORDS = """# newdoc
# sent_id = a-1
# text = vamonos al mar
1-2\tvamonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\t_\t_\t_\t_\t_\t_\t_
2\tnos\tnosotros\t_\t_\t_\t_\t_\t_\t_
2.1\tfui\tir\t_\t_\t_\t_\t_\t_\t_
3\t20 000\t20 000\t_\t_\t_\t_\t_\t_\t_

1\t#\t#\t_\t_\t_\t_\t_\t_\t_
2\tx\t_

# sent_id =
1\tx\tx\t_\t_\t_\t_\t_\t_\t_
3\ty\ty\t_\t_\t_\t_\t_\t_\t_

# only a comment

1\t\tx\t_\t_\t_\t_\t_\t_\t_"""
PLUS = "# global.columns = ID WORD\n1\ta\n\n# sent_id = b\n1\tc\n"
COLUMNS = """-DOCSTART- -X- O O

EU NNP  I-NP I-ORG
# # O O

-DOCSTART- -X- O O
\u3000 X
20\u00a0000\tCD
a
\t
b B
"""
# A file, options, and of each sentence its number, its name, and its tokens or problem.
NAMED: dict[str, tuple[bytes, dict[str, Any], list[tuple[int, str, str]]]] = {
    "a.fasta": (
        FASTA,
        {},
        [
            (1, "sp|P1|A", "S E Q W E N C E"),
            (6, "P2", ""),
            (7, "P3", "'1' in the sequence, which is not a residue"),
            (9, "", "no id after '>'"),
            (11, "P4", "M"),
            (13, "P\ufffd", "not UTF-8 (byte 2)"),
        ],
    ),
    "a.faa.gz": (gzip.compress(b">P\nmk\n"), {"split": "space"}, [(1, "P", "MK")]),
    "a.fa": (b"MK\n>P\nM", {}, [(1, "", "no line with '>' and an id"), (2, "P", "M")]),
    "a.conllu": (
        WORDS.encode(),
        {},
        [
            (1, "a-1", "vamos nos 20\xa0000"),
            (10, "# x", "line 11 has 3 columns, not 10"),
            (13, "x y", "line 15 has the ID '3', not 2"),
            (19, "", "word 1 is empty"),
        ],
    ),
    "a.conllu.gz": (
        gzip.compress(WORDS.split("\n\n")[0].encode()),
        {"column": "LEMMA", "split": "words"},
        [(1, "a-1", "ir nosotros 20\xa0000")],
    ),
    "plus.conllu": (PLUS.encode(), {"column": "2"}, [(1, "a", "a"), (4, "b", "c")]),
    "a.conll": (
        COLUMNS.encode(),
        {},
        [(3, "EU #", "EU #"), (6, "", "\u3000 20\xa0000 a"), (11, "b", "b")],
    ),
    "b.conll": (
        COLUMNS.encode(),
        {"column": "2"},
        [
            (3, "NNP #", "NNP #"),
            (6, "X CD", "line 9 has no column 2"),
            (11, "B", "B"),
        ],
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_texts(name: str, tmp_path: Path) -> None:
    data, options, expected = NAMED[name]
    path = tmp_path / name
    path.write_bytes(data)
    problems: dict[int, str] = {}
    sentences = list(
        read_sentences(
            path,
            on_error="repair",
            report=lambda bad: problems.update({bad.line: bad.problem}),
            **options,
        )
    )
    found = [(s.number, s.text, s.tokens.decode()) for s in sentences]
    assert [(n, problems.get(n, tokens)) for n, _, tokens in found] == [
        (n, tokens) for n, _, tokens in expected
    ]
    named = [(number, text) for number, text, _ in expected if text]
    assert [(n, text) for (n, text, _) in found if (n, text) in named] == named
    for sentence in sentences:
        assert sentence.n_tokens == len(sentence.tokens.split(b" ")) * bool(sentence.tokens)


@pytest.mark.parametrize("name", ["a.fasta", "a.conll", "a.conllu"])
def test_what_is_too_long(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lines, conll, fasta):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 200)
    row = {"a.fasta": b"MMMMM\n", "a.conll": b"x y\n", "a.conllu": b"1\tx" + b"\t_" * 8}
    start = b">P\n" if name == "a.fasta" else b""
    data = start + (row[name].strip() + b"\n") * 60 + b"\n" + start + row[name]
    problem, good = read(tmp_path / name, data).values()
    assert problem == "longer than 16 MiB"
    assert good in ("M M M M M", "x")


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_any_text_comes_back(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("texts") / "a.jsonl"
    rows = "".join(json.dumps({"t": text}) + "\n" for text in texts).encode()
    expected = {i: " ".join(text.split()) for i, text in enumerate(texts, 1)}
    assert read(path, rows, column="t") == expected


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    read(folder / "a.jsonl", b"x" + data, column="text")
    read(folder / "a.csv", b"text\n" + data, column="text")
    for name in ("a.fasta", "a.conllu", "a.conll"):
        read(folder / name, b">" + data)
