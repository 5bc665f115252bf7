"""The IMDB example's programs, and a tiny copy of the data."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.examples.imdb.data import FOLDERS, N_REVIEWS, WORDS, packed, write
from tests.examples.imdb.runs import StartRun


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return importlib.import_module("imdb_sentiment")


@pytest.fixture(scope="module")
def data() -> ModuleType:
    return importlib.import_module("imdb_data")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the archive unpacks to, with the files that the reader has to pass over."""
    parent = tmp_path_factory.mktemp("imdb")
    root = parent / "aclImdb"
    for folder in FOLDERS:
        words = WORDS[folder.rpartition("/")[2]]
        for i in range(N_REVIEWS):
            text = f"A {words[i % 3]} film,<br /><br />\tand  a {words[i % 2]} end {i} ."
            write(root / folder / f"{i}_{i % 10}.txt", f"{text} From {folder}.")
    write(root / "train" / "unsup" / "0_0.txt", "A film without a label .")
    write(root / "train" / "urls_pos.txt", "http://localhost/")
    write(root / "imdb.vocab", "film")
    return parent


@pytest.fixture(scope="module")
def archive(directory: Path) -> Path:
    return packed(directory, directory / "aclImdb_v1.tar.gz")


@pytest.fixture
def start(
    example: ModuleType,
    source: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> StartRun:
    return StartRun(example, source, tmp_path, capsys)


@pytest.fixture
def error_line(
    example: ModuleType, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The last line that a run with a wrong argument writes."""

    def run(*args: object) -> str:
        argv = ["--source", source, "--output", str(tmp_path / "out")]
        with pytest.raises(SystemExit, match=r"^2$"):
            example.main([*argv, *map(str, args)])
        written = capsys.readouterr()
        assert "Epoch" not in written.out
        return written.err.strip().splitlines()[-1]

    return run
