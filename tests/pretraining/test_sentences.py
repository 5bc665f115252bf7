from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from keras_elmo.pretraining import sentences
from keras_elmo.pretraining.sentences import expand_paths, read_sentences


def read(content: bytes, folder: Path) -> list[list[str]]:
    path = folder / "text.txt"
    path.write_bytes(content)
    return list(read_sentences([path]))


@pytest.fixture
def numbered(tmp_path: Path) -> list[Path]:
    """Three files with the numbers 0 to 59, one in a line, the second one zipped."""
    lines = [f"{i}\n".encode() for i in range(60)]
    paths = [tmp_path / name for name in ("a.txt", "b.txt.gz", "c.txt")]
    paths[0].write_bytes(b"".join(lines[:20]))
    paths[1].write_bytes(gzip.compress(b"".join(lines[20:45])))
    paths[2].write_bytes(b"".join(lines[45:]))
    return paths


def numbers(paths: list[Path], seed: int | None) -> list[int]:
    return [int(word) for (word,) in read_sentences(paths, seed)]


def test_a_line_is_a_sentence(tmp_path: Path) -> None:
    assert read(b"The cat sat .\nA dog\n", tmp_path) == [
        ["The", "cat", "sat", "."],
        ["A", "dog"],
    ]
    assert read("Größe 東京\nno end of line".encode(), tmp_path) == [
        ["Größe", "東京"],
        ["no", "end", "of", "line"],
    ]


def test_lines_without_words_are_left_out(tmp_path: Path) -> None:
    assert read(b"\n\na\n \t \n\n  b   c  \n\n", tmp_path) == [["a"], ["b", "c"]]
    assert read(b"", tmp_path) == []


def test_windows_line_ends(tmp_path: Path) -> None:
    assert read(b"a b\r\n\r\nc\r\n", tmp_path) == [["a", "b"], ["c"]]


def test_what_is_not_utf_8(tmp_path: Path) -> None:
    assert read(b"gr\xfcn ist\xff\nna ja\n", tmp_path) == [
        ["gr\ufffdn", "ist\ufffd"],
        ["na", "ja"],
    ]


def test_zipped(tmp_path: Path) -> None:
    path = tmp_path / "text.txt.gz"
    # Two members in a file, as pigz and cat make them.
    path.write_bytes(gzip.compress("wörd one\n".encode()) + gzip.compress(b"two\n"))
    assert list(read_sentences([str(path)])) == [["wörd", "one"], ["two"]]


def test_order_of_the_files(numbered: list[Path]) -> None:
    assert numbers(numbered, None) == list(range(60))
    assert numbers(numbered[::-1], None) == [*range(45, 60), *range(20, 45), *range(20)]


def test_shuffled(numbered: list[Path]) -> None:
    shuffled = numbers(numbered, 0)
    assert sorted(shuffled) == list(range(60))
    assert shuffled != list(range(60))
    assert shuffled == numbers(numbered, 0)
    other = numbers(numbered, 1)
    assert sorted(other) == list(range(60))
    assert other != shuffled


def test_shuffling_mixes_the_files(numbered: list[Path]) -> None:
    first = numbers(numbered, 3)[:30]
    for part in (range(20), range(20, 45), range(45, 60)):
        assert 2 < len(set(first) & set(part)) < 20


def test_nothing_is_lost_with_a_small_buffer(
    numbered: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentences, "SHUFFLE_BUFFER", 7)
    shuffled = numbers(numbered, 5)
    assert sorted(shuffled) == list(range(60))
    assert shuffled == numbers(numbered, 5)
    assert shuffled != numbers(numbered, 6)


def test_one_file_is_shuffled_too(numbered: list[Path]) -> None:
    shuffled = numbers(numbered[:1], 0)
    assert sorted(shuffled) == list(range(20))
    assert shuffled != list(range(20))


def test_paths_of_files(numbered: list[Path]) -> None:
    assert expand_paths([numbered[2], str(numbered[0])]) == [
        str(numbered[0]),
        str(numbered[2]),
    ]


def test_paths_of_a_directory(numbered: list[Path], tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("not a text to train on")
    (tmp_path / "more.txt").mkdir()
    assert expand_paths([tmp_path]) == [str(path) for path in numbered]


def test_paths_of_a_pattern(numbered: list[Path], tmp_path: Path) -> None:
    (tmp_path / "more.txt").mkdir()
    assert expand_paths([f"{tmp_path}/*.txt"]) == [str(numbered[0]), str(numbered[2])]
    assert expand_paths([tmp_path / "[ab].*"]) == [str(numbered[0]), str(numbered[1])]


def test_a_name_may_look_like_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "part[1].txt"
    path.write_text("a\n")
    assert expand_paths([path]) == [str(path)]
    assert list(read_sentences([path])) == [["a"]]


def test_each_file_once(
    numbered: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is named: what is read twice counts twice."""
    monkeypatch.chdir(tmp_path)
    named = expand_paths([tmp_path, numbered[0], "a.txt", "./b.txt.gz", f"{tmp_path}/./*"])
    assert sorted(Path(path).resolve() for path in named) == [p.resolve() for p in numbered]


@pytest.mark.parametrize("name", ["none.txt", "none-*.txt", "empty"])
def test_names_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("a\n")
    with pytest.raises(FileNotFoundError, match="There is no text file .*" + name[:5]):
        expand_paths([tmp_path / "text.txt", tmp_path / name])
