"""The sentences of text files for training: in order, shuffled, and which files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from keras_elmo.errors import BadLinesError
from keras_elmo.pretraining import expand_paths, read_sentences, sentences

pytestmark = pytest.mark.any_backend


@pytest.fixture
def numbered(tmp_path: Path) -> list[Path]:
    """Three files with the numbers 0 to 59, one in a line, the second one zipped."""
    lines = [f"{i}\n".encode() for i in range(60)]
    a, b, c = (tmp_path / name for name in ("a.txt", "b.txt.gz", "c.txt"))
    a.write_bytes(b"".join(lines[:20]))
    b.write_bytes(gzip.compress(b"".join(lines[20:45])))
    c.write_bytes(b"".join(lines[45:]))
    return [a, b, c]


def numbers(paths: list[Path], seed: int | None) -> list[int]:
    return [int(word) for (word,) in read_sentences(paths, seed)]


def test_a_line_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes("Größe 東京\n\n \t\n  b   c  \nno end".encode())
    (tmp_path / "b.txt").write_bytes(b"")
    paths = [tmp_path / "b.txt", str(tmp_path / "a.log")]
    expected = [["Größe", "東京"], ["b", "c"], ["no", "end"]]
    assert list(read_sentences(paths)) == expected
    assert sorted(read_sentences(paths, shuffle_seed=0)) == sorted(expected)
    assert list(read_sentences(paths[:1], shuffle_seed=0)) == []


def test_other_formats(tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_text(">P\nmk\n>Q\nl*\n")
    (tmp_path / "b.conll").write_text("EU X\nis Y\n\nit Z\n")
    (tmp_path / "c.jsonl").write_text('{"text": "a b"}\n')
    for name, options, expected in (
        ("a.fasta", {}, [["M", "K"], ["L"]]),
        ("b.conll", {}, [["EU", "is"], ["it"]]),
        ("b.conll", {"column": "2"}, [["X", "Y"], ["Z"]]),
        ("b.conll", {"input_format": "text"}, [["EU", "X"], ["is", "Y"], ["it", "Z"]]),
        ("c.jsonl", {"column": "text"}, [["a", "b"]]),
    ):
        assert list(read_sentences([tmp_path / name], **options)) == expected  # type: ignore[arg-type]


def test_what_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"gr\xfcn ist\xff\nna ja\n")
    for seed in (None, 0):
        with pytest.raises(BadLinesError, match=r"a.txt', line 1: not UTF-8 \(byte 3\)"):
            list(read_sentences([path], seed))
        assert list(read_sentences([path], seed, "skip")) == [["na", "ja"]]
        found = sorted(read_sentences([path], seed, on_error="repair"))
        assert found == [["gr\ufffdn", "ist\ufffd"], ["na", "ja"]]


def test_order_of_the_files(numbered: list[Path]) -> None:
    assert numbers(numbered, None) == list(range(60))
    first = numbers(numbered, 3)[:30]  # shuffling mixes the files
    for part in (range(20), range(20, 45), range(45, 60)):
        assert 2 < len(set(first) & set(part)) < 20
    assert numbers(numbered[::-1], None) == [*range(45, 60), *range(20, 45), *range(20)]


@pytest.mark.parametrize("buffer", [7, 100_000])
@pytest.mark.parametrize("at_once", [2, 16])
@pytest.mark.parametrize("n_files", [1, 3])
def test_shuffled(
    n_files: int,
    at_once: int,
    buffer: int,
    numbered: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sentences, "SHUFFLE_BUFFER", buffer)
    monkeypatch.setattr(sentences, "FILES_AT_ONCE", at_once)
    paths, all_numbers = numbered[:n_files], list(range({1: 20, 3: 60}[n_files]))
    shuffled = numbers(paths, 0)
    assert sorted(shuffled) == all_numbers != shuffled
    assert numbers(paths, np.int64(0)) == shuffled
    other = numbers(paths, 1)
    assert sorted(other) == all_numbers
    assert other != shuffled


def test_paths(
    numbered: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.md").write_text("not a text to train on")
    (tmp_path / "more.txt").mkdir()
    a, b, c = map(str, numbered)
    assert expand_paths([numbered[2], a]) == [a, c]
    assert expand_paths([tmp_path]) == [a, b, c]
    assert expand_paths([f"{tmp_path}/*.txt"]) == [a, c]
    assert expand_paths([tmp_path / "[ab].*"]) == [a, b]
    # Each file once, however it is named: what is read twice counts twice.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").unlink()
    named = expand_paths([tmp_path, numbered[0], "a.txt", "./b.txt.gz", f"{tmp_path}/./*"])
    assert sorted(Path(path).resolve() for path in named) == [p.resolve() for p in numbered]
    # A name may look like a pattern.
    path = tmp_path / "part[1].txt"
    path.write_text("a\n")
    assert expand_paths([path]) == [str(path)]


@pytest.mark.parametrize("name", ["none.txt", "none-*.txt", "empty"])
def test_names_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("a\n")
    with pytest.raises(FileNotFoundError, match="There is no text file .*" + name[:5]):
        expand_paths([tmp_path / "text.txt", tmp_path / name])
