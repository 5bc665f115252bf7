"""The IMDB example's errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.imdb.data import packed, write


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--limit", "0"], "argument --limit: must be a whole number from 2 to"),
        (["--limit", "many"], "argument --limit: must be .*, not 'many'"),
        (["--words", "0"], "argument --words: must be a whole number from 1 to"),
        (["--epochs", "-1"], "argument --epochs: "),
        (["--batch-size", "1.5"], "argument --batch-size: must be .*, not '1.5'"),
        (["--learning-rate", "0"], "argument --learning-rate: must be a number from 0 to"),
        (["--learning-rate", "fast"], "argument --learning-rate: must be .*, not 'fast'"),
        (["--seed", "99999999999"], "argument --seed: must be .* to 2147483647"),
        (["--fine-tune", "some"], "argument --fine-tune: invalid choice: 'some'"),
        (["--accumulate", "1"], "argument --accumulate: must be .* from 2 to"),
        (["--strategy", "all"], "argument --strategy: invalid choice: 'all'"),
        (["--devices", "2"], "argument --devices: has no effect with --strategy none"),
        (["--strategy", "multi-worker"], "multi-worker needs the .* variable TF_CONFIG"),
        (["--strategy", "data-parallel"], "needs KERAS_BACKEND=jax; this is tensorflow"),
        # A process that has computed something cannot divide its processor any more.
        (["--strategy", "mirrored"], "argument --strategy: .* cannot be modified"),
        ([" "], "argument sentence: must not be empty"),
        (["--data", ""], "argument --data: must not be empty"),
        (["--data", 5000 * "a"], "argument --data: .*(too long|no file or directory)"),
        (["--source", ""], "argument --source: must not be empty"),
        (["--source", "nowhere"], "argument --source: source 'nowhere': there is no file"),
    ],
)
def test_wrong_arguments(
    error_line: Callable[..., str], argv: list[str], message: str
) -> None:
    line = error_line(*argv)
    assert re.search(message, line), line


def test_missing_path(error_line: Callable[..., str], tmp_path: Path) -> None:
    line = error_line("--data", tmp_path / "no.tar.gz")
    assert re.search(r"argument --data: There is no file or directory '.*no.tar.gz'", line)


def test_directory_without_reviews(error_line: Callable[..., str], tmp_path: Path) -> None:
    write(tmp_path / "films" / "train" / "pos" / "0_9.txt", "A film")
    line = error_line("--data", tmp_path / "films")
    assert "has no reviews (*.txt files) in train/neg, test/neg, test/pos. Give" in line


def test_directory_that_cannot_be_read(
    error_line: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "train" / "neg" / "0_1.txt").mkdir(parents=True)
    line = error_line("--data", tmp_path)
    assert re.search(r"argument --data: Cannot read the reviews in .*0_1\.txt", line)


@pytest.mark.parametrize("n_bytes", [0, 1, 100, -1, -9, -1000])
def test_broken_archive(
    error_line: Callable[..., str], archive: Path, tmp_path: Path, n_bytes: int
) -> None:
    (tmp_path / "broken.tar.gz").write_bytes(archive.read_bytes()[:n_bytes])
    line = error_line("--data", tmp_path / "broken.tar.gz")
    assert re.search(r"argument --data: Cannot read '.*broken\.tar\.gz' as a .*tar", line)


def test_damaged_archive(
    error_line: Callable[..., str], archive: Path, tmp_path: Path
) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "damaged.tar.gz").write_bytes(content)
    line = error_line("--data", tmp_path / "damaged.tar.gz")
    assert "argument --data: Cannot read" in line


def test_not_an_archive(error_line: Callable[..., str], tmp_path: Path) -> None:
    write(tmp_path / "reviews.csv", "text,label\n" * 1000)
    line = error_line("--data", tmp_path / "reviews.csv")
    assert re.search(r"Cannot read '.*reviews\.csv' as a .*tar archive: .* Give the", line)


def test_another_archive(error_line: Callable[..., str], tmp_path: Path) -> None:
    write(tmp_path / "aclImdb" / "README", "Nothing here")
    line = error_line("--data", packed(tmp_path, tmp_path / "other.tar.gz"))
    assert "other.tar.gz' has no reviews (*.txt files) in train/neg, train/pos" in line


def test_review_that_is_not_utf8(error_line: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "aclImdb" / "test" / "neg" / "7_1.txt"
    write(path, "")
    path.write_bytes(b"caf\xe9")
    for broken in (tmp_path, packed(tmp_path, tmp_path / "latin.tar.gz")):
        line = error_line("--data", broken)
        assert re.search(r"argument --data: The review '.*7_1\.txt' is not UTF-8", line)


def test_output_is_a_file(error_line: Callable[..., str], tmp_path: Path) -> None:
    write(tmp_path / "file", "")
    line = error_line("--output", tmp_path / "file")
    assert "argument --output: cannot make the directory: " in line


def test_without_matplotlib(
    error_line: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert re.search(
        r'matplotlib cannot be .*: pip install "keras-elmo\[examples\]"$', error_line()
    )
