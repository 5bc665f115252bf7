"""The text of the "mini" model: from a tiny copy of the IMDB reviews, and its errors."""

from __future__ import annotations

import importlib
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import pytest

SIZES = {"train/neg": 2, "train/pos": 2, "train/unsup": 8, "test/neg": 2, "test/pos": 2}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = importlib.import_module("mini_prepare")
    monkeypatch.setattr(module, "HELD_OUT", 3)
    monkeypatch.setattr(module, "N_SHARDS", 2)
    return module


@pytest.fixture(scope="module")
def data() -> ModuleType:
    return importlib.import_module("imdb_data")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What the archive unpacks to."""
    parent = tmp_path / "data"
    for folder, size in SIZES.items():
        for i in range(size):
            text = f"In {folder}:<br /><br />it\tisn't  n°{i}..."
            _write(parent / "aclImdb" / folder / f"{9 + i}_0.txt", text)
    _write(parent / "aclImdb" / "train" / "unsupBow.feat", "0 1:1")
    _write(parent / "aclImdb" / "train" / "urls_unsup.txt", "http://localhost/")
    return parent


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))


@pytest.fixture
def archive(directory: Path) -> Path:
    return _packed(directory)


def _packed(directory: Path) -> Path:
    """Packs the files in another order than that of their names."""
    archive = directory.parent / "reviews.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted((directory / "aclImdb").rglob("*"), reverse=True):
            tar.add(path, path.relative_to(directory), recursive=False)
    return archive


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The directory to write, in one where nothing else is."""
    return tmp_path / "written" / "text"


def _read(folder: Path) -> dict[str, list[str]]:
    return {
        path.name: path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
        for path in folder.iterdir()
    }


def _line(folder: str, i: int) -> str:
    return f"In train / {folder} : it isn't n ° {i} ..."


# Sorted by folder and name, 10_0.txt before 9_0.txt, then in the order 1, 9, 8, 5, 10, 2,
# 3, 7, 4, 0, 11, 6, which is how seed 0 shuffles twelve.
EXPECTED = {
    name: [_line(folder, i) for folder, i in reviews]
    for name, reviews in {
        "heldout.txt": [("neg", 0), ("unsup", 6), ("unsup", 5)],
        "train-0.txt": [("unsup", 2), ("pos", 1), ("unsup", 4), ("neg", 1), ("unsup", 3)],
        "train-1.txt": [("unsup", 7), ("pos", 0), ("unsup", 1), ("unsup", 0)],
    }.items()
}


def test_files(
    example: ModuleType, directory: Path, archive: Path, out: Path, capsys: Any
) -> None:
    assert example.main([str(archive), str(out)]) == 0
    assert _read(out) == EXPECTED
    printed = capsys.readouterr().out
    assert printed == f"Wrote {out}: 9 reviews to train on, 3 held out\n"
    assert [path.name for path in out.parent.iterdir()] == ["text"]
    for source in (directory, directory / "aclImdb"):
        to = out.with_name(source.name)
        assert example.main([str(source), str(to)]) == 0
        assert _read(to) == EXPECTED


def test_real_sizes() -> None:
    example = importlib.import_module("mini_prepare")
    assert (example.HELD_OUT, example.N_SHARDS, example.SEED) == (1000, 8, 0)


def test_empty_output(example: ModuleType, archive: Path, out: Path) -> None:
    out.mkdir(parents=True)
    assert example.main([str(archive), str(out)]) == 0
    assert _read(out) == EXPECTED
    assert [path.name for path in out.parent.iterdir()] == ["text"]


def test_output_is_as_readable_as_other_directories(
    example: ModuleType, archive: Path, out: Path
) -> None:
    assert example.main([str(archive), str(out)]) == 0
    assert out.stat().st_mode == out.parent.stat().st_mode


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("One.<br />Two.", "One . Two ."),
        ("One<br>two<br  /><br/>three", "One two three"),
        ("a <b>bold</b> word", "a < b > bold < / b > word"),
        (" (8/10)!!! ", "( 8 / 10 ) !!!"),
        ("<br />", ""),
    ],
)
def test_line(example: ModuleType, text: str, line: str) -> None:
    assert example.to_line(text) == line


@pytest.fixture
def error_line(
    example: ModuleType, archive: Path, out: Path, capsys: Any
) -> Callable[..., str]:
    """The last line that a run with a wrong argument writes; nothing else is left."""

    def run(source: Path | str = archive, to: Path | str = out) -> str:
        before = sorted(out.parent.rglob("*"))
        with pytest.raises(SystemExit, match=r"^2$"):
            example.main([str(source), str(to)])
        assert sorted(out.parent.rglob("*")) == before
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


def test_output_is_not_empty(error_line: Callable[..., str], out: Path) -> None:
    _write(out / "heldout.txt", "mine")
    assert re.search(r"argument OUT: the directory '.*text' is not empty$", error_line())
    assert _read(out) == {"heldout.txt": ["mine"]}


def test_output_is_a_file(error_line: Callable[..., str], out: Path) -> None:
    _write(out, "mine")
    assert re.search(r"argument OUT: .*Not a directory: '.*text'", error_line())
    below = error_line(to=out / "below")
    assert re.search(r"argument OUT: .*(exists|Not a directory): '.*text", below)
    assert out.read_text("utf-8") == "mine"


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt("stopped")])
def test_nothing_half_written(
    example: ModuleType,
    archive: Path,
    out: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    lines = iter(["a line", "another"])

    def to_line(text: str) -> str:
        # The first file is being written, beside the place where it will be.
        assert [path.name[:6] for path in out.parent.iterdir()] == [".text-"]
        line = next(lines, None)
        if line is None:
            raise error
        return line

    monkeypatch.setattr(example, "to_line", to_line)
    with pytest.raises((SystemExit, KeyboardInterrupt), match=r"^2$|^stopped$"):
        example.main([str(archive), str(out)])
    assert list(out.parent.iterdir()) == []
    is_told = "argument OUT: no space" in capsys.readouterr().err
    assert is_told == isinstance(error, OSError)


def test_missing_data(error_line: Callable[..., str], tmp_path: Path) -> None:
    line = error_line(source=tmp_path / "no.tar.gz")
    assert re.search(r"argument DATA: There is no file or directory '.*no.tar.gz'", line)


def test_data_without_unlabelled_reviews(
    error_line: Callable[..., str], directory: Path
) -> None:
    for path in (directory / "aclImdb" / "train" / "unsup").iterdir():
        path.unlink()
    for source in (directory, _packed(directory)):
        line = error_line(source=source)
        assert re.search(r"argument DATA: .* has no reviews .* in train/unsup\. Give", line)


def test_too_few_reviews(
    example: ModuleType, error_line: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "HELD_OUT", 11)
    expected = "argument DATA: There are 12 reviews; to hold 11 out and divide the others "
    assert f"{expected}among 2 files takes at least 13." in error_line()


def test_training_texts(data: ModuleType, directory: Path, archive: Path) -> None:
    texts = data.load_training_texts(str(archive))
    assert len(texts) == 12
    assert texts[0] == "In train/neg:<br /><br />it isn't n°1..."
    assert texts[-1] == "In train/unsup:<br /><br />it isn't n°0..."
    assert data.load_training_texts(str(directory)) == texts


def test_only_what_is_wanted_is_read(data: ModuleType, directory: Path) -> None:
    root = directory / "aclImdb"
    expected = data.load_imdb(str(directory))
    (root / "train" / "unsup" / "9_0.txt").write_bytes(b"caf\xe9")
    for source in (directory, _packed(directory)):
        for part, whole in zip(data.load_imdb(str(source)), expected, strict=True):
            assert part[0].tolist() == whole[0].tolist()
            assert part[1].tolist() == [0, 0, 1, 1]
        with pytest.raises(data.DataError, match=r"'.*unsup/9_0\.txt' is not UTF-8 text"):
            data.load_training_texts(str(source))
    _write(root / "train" / "unsup" / "9_0.txt", "café")
    (root / "test" / "neg" / "9_0.txt").write_bytes(b"caf\xe9")
    for source in (directory, _packed(directory)):
        assert data.load_training_texts(str(source))[-1] == "café"
        with pytest.raises(data.DataError, match=r"'.*neg/9_0\.txt' is not UTF-8 text"):
            data.load_imdb(str(source))


def test_download(
    example: ModuleType,
    data: ModuleType,
    archive: Path,
    out: Path,
    error_line: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def get_file(**kwargs: Any) -> str:
        return str(archive)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(data, "ARCHIVE_BYTES", archive.stat().st_size)
    monkeypatch.setattr(data, "N_REVIEWS", 2)
    message = r"argument DATA: .* must hold 2 reviews in each of train/neg, train/pos and "
    message += r"50,000 in train/unsup; found \{.*'train/unsup': 8\}\. Delete it"
    assert re.search(message, error_line(source="download"))
    monkeypatch.setattr(data, "N_UNLABELLED", 8)
    assert example.main(["download", str(out)]) == 0
    assert _read(out) == EXPECTED
    # The reviews without a label do not count where they are not asked for.
    monkeypatch.setattr(data, "N_REVIEWS", 3)
    with pytest.raises(
        data.DataError,
        match=r"must hold 3 reviews in each of train/neg, train/pos, test/neg, test/pos; "
        r"found \{'train/neg': 2, .*'test/pos': 2\}\. Delete it",
    ):
        data.load_imdb("download")
