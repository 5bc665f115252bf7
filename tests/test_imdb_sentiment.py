"""The IMDB example: the whole program on a tiny copy of the data, and its errors."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import imdb_strategy
import keras
import numpy as np
import pytest

from tests.tiny_models import LEAST, TINY, saved_model

SENTENCE = "a warm and clever film"
N_REVIEWS = 12  # of each class, in each part
FOLDERS = ("train/neg", "train/pos", "test/neg", "test/pos")
WORDS = {"pos": ("warm", "clever", "lovely"), "neg": ("dull", "clumsy", "boring")}
QUICK = ["--epochs", "2", "--batch-size", "8", "--words", "20"]


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
            _write(root / folder / f"{i}_{i % 10}.txt", f"{text} From {folder}.")
    _write(root / "train" / "unsup" / "0_0.txt", "A film without a label .")
    _write(root / "train" / "urls_pos.txt", "http://localhost/")
    _write(root / "imdb.vocab", "film")
    return parent


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def archive(directory: Path) -> Path:
    return _packed(directory, directory / "aclImdb_v1.tar.gz")


def _packed(directory: Path, archive: Path) -> Path:
    """Packs the files in another order than that of their names."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted((directory / "aclImdb").rglob("*"), reverse=True):
            tar.add(path, path.relative_to(directory), recursive=False)
    return archive


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run of the program left behind."""

    text: str
    folder: Path

    @property
    def history(self) -> dict[str, Any]:
        return json.loads((self.folder / "history.json").read_text("utf-8"))

    def number(self, pattern: str) -> float:
        found = re.search(pattern, self.text)
        assert found, f"{pattern!r} is not in:\n{self.text}"
        return float(found[1].replace(",", ""))


class StartRun:
    """Runs the program in this process."""

    def __init__(self, example: ModuleType, source: str, folder: Path, capsys: Any) -> None:
        self.main = example.main
        self.source = source
        self.folder = folder
        self.capsys = capsys

    def __call__(self, *args: object, source: str | None = None, to: str = "out") -> Run:
        folder = self.folder / to
        argv = ["--source", source or self.source, "--output", str(folder), *QUICK]
        assert self.main([*argv, *map(str, args)]) == 0
        return Run(self.capsys.readouterr().out, folder)


@pytest.fixture
def start(
    example: ModuleType,
    source: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> StartRun:
    return StartRun(example, source, tmp_path, capsys)


def test_whole_program(
    start: StartRun, example: ModuleType, data: ModuleType, archive: Path
) -> None:
    run = start("--data", archive, SENTENCE)
    names = {"model.keras", "history.json", "training_curves.png"}
    assert {path.name for path in run.folder.iterdir()} == names
    assert all(f"Wrote {run.folder / name}" in run.text for name in names)
    assert (run.folder / "training_curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert len(run.history[name]) == 2

    # A model that somebody else loads gives what the program printed.
    model = keras.saving.load_model(run.folder / "model.keras")
    _, (texts, labels) = data.load_imdb(str(archive))
    texts, _ = example.prepared((texts, labels), 20)
    correct = (model.predict(texts, verbose=0)[:, 0] >= 0.5) == (labels == 1)
    accuracy = run.number(r"Test accuracy: ([\d.]+) on 24 reviews")
    assert accuracy == pytest.approx(correct.mean(), abs=1e-4)
    assert run.history["test_accuracy"] == pytest.approx(correct.mean())
    sentence = np.array([SENTENCE], dtype=object)
    printed = run.number(rf"{SENTENCE!r}: (?:pos|neg)\w+ \(p\(positive\) = ([\d.]+)\)")
    assert printed == pytest.approx(
        float(model.predict(sentence, verbose=0)[0, 0]), abs=1e-4
    )

    mix = model.get_layer("elmo").scalar_mix
    shares = keras.ops.convert_to_numpy(keras.ops.softmax(mix.layer_weights))
    assert f"Layer weights: {' '.join(f'{x:.4f}' for x in shares)}" in run.text
    assert run.number(r"gamma: ([\d.]+)") == pytest.approx(float(mix.gamma), abs=1e-4)


@pytest.mark.parametrize(
    ("fine_tune", "in_elmo"),
    [
        ("aggregation", 4),
        ("lstm", 4 + 4 * (16 * 48 + 48 + 12 * 8)),
        ("all", 4 + TINY.n_parameters),
    ],
)
def test_parameters(example: ModuleType, capsys: Any, fine_tune: str, in_elmo: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "RANDOM_CONFIG", TINY)
        model = example.build_model("random", fine_tune)
    example.print_parameters(model)
    dense = 16 * 256 + 256 + 256 + 1
    total = 4 + TINY.n_parameters + dense
    line = f"{total:,}, of which {in_elmo + dense:,} are trained ({in_elmo:,} of them"
    assert line in capsys.readouterr().out


def test_the_articles_number_of_parameters(example: ModuleType) -> None:
    # The widths that count are the original model's; the rest is small, to be quick.
    wide = dataclasses.replace(TINY, projection_dim=512)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "RANDOM_CONFIG", wide)
        model = example.build_model("random", "aggregation")
    assert sum(int(np.prod(v.shape)) for v in model.trainable_weights) == 262_661


def test_prepared(example: ModuleType) -> None:
    texts = np.array(["A dull,<br /><br />long film.", "", "isn't it?"], dtype=object)
    labels = np.array([0, 1, 1], dtype=np.float32)
    # Words are counted before punctuation marks are taken off them.
    found, found_labels = example.prepared((texts, labels), 3)
    assert found.tolist() == ["A dull , long", "", "isn't it ?"]
    assert found.dtype == object
    np.testing.assert_array_equal(found_labels, labels)


def test_learning_rate(example: ModuleType, source: str) -> None:
    model = example.build_model(source, "aggregation", 0.25)
    assert float(model.optimizer.learning_rate) == 0.25
    assert model.optimizer.gradient_accumulation_steps is None
    model = example.build_model(source, "aggregation", accumulate=3)
    assert model.optimizer.gradient_accumulation_steps == 3


def test_same_seed_same_run(start: StartRun, archive: Path, directory: Path) -> None:
    first = start("--data", archive, "--seed", 3, "--epochs", 1, to="first")
    again = start("--data", directory, "--seed", 3, "--epochs", 1, to="again")
    for name, value in first.history.items():
        assert again.history[name] == pytest.approx(value, rel=1e-4)


def test_begun_on_one_device_and_ended_on_two(
    start: StartRun, archive: Path, tmp_path: Path
) -> None:
    least = str(saved_model(tmp_path / "least", LEAST))
    whole = start("--data", archive, source=least)
    kept = ("--backup", tmp_path / "kept")
    part = start("--data", archive, *kept, "--epochs", 1, source=least, to="part")
    assert part.history["loss"] == pytest.approx(whole.history["loss"][:1], rel=1e-4)
    # In a process of its own, since this one has computed on an undivided processor.
    program = Path(imdb_strategy.__file__).with_name("imdb_sentiment.py")
    options = ["--source", least, "--data", archive, "--output", tmp_path / "rest", *kept]
    strategy = ["--strategy", "mirrored", "--devices", 2]
    result = subprocess.run(
        [sys.executable, str(program), *QUICK, *map(str, [*options, *strategy])],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(program.parents[1])},
    )
    assert result.returncode == 0, result.stderr
    assert "Going on after epoch 1" in result.stdout
    rest = Run(result.stdout, tmp_path / "rest").history
    assert len(rest["val_loss"]) == 2
    assert [path.name for path in kept[1].iterdir()] == ["epoch_2"]
    for name, value in whole.history.items():
        assert rest[name] == pytest.approx(value, abs=1e-4)


def test_embedded_reviews_and_random_weights(
    start: StartRun, example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "RANDOM_CONFIG", TINY)
    run = start("--limit", 20, "--epochs", 1, source="random")
    assert "Training on 18 reviews, validating on 2 others" in run.text
    assert "on 20 reviews" in run.text
    assert "The saved model" not in run.text  # there was no sentence to classify


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], (30, "aggregation")),
        (["--source", "random"], (30, "all")),
        (["--source", "model.zip"], (30, "aggregation")),
        (["--epochs", "2", "--fine-tune", "lstm"], (2, "lstm")),
    ],
)
def test_defaults_follow_the_source(
    example: ModuleType, argv: list[str], expected: tuple[int, str]
) -> None:
    args = example.fill_in(example.make_parser().parse_args(argv))
    assert (args.epochs, args.fine_tune) == expected
    assert (args.words, args.batch_size, args.data) == (150, 32, None)
    args = example.fill_in(example.make_parser().parse_args([*argv, "--data", "x"]))
    assert args.epochs == (2 if "--epochs" in argv else 5)


def test_shuffled(example: ModuleType) -> None:
    texts = np.array([f"review {i}" for i in range(30)], dtype=object)
    labels = np.array([0, 0, 1] * 10, dtype=np.float32)
    label_of = dict(zip(texts, labels, strict=True))
    for limit, counts in ((None, (20, 10)), (9, (4, 4)), (30, (15, 10))):
        kept, kept_labels = example.shuffled((texts, labels), limit, 5)
        assert tuple(np.bincount(kept_labels.astype(int))) == counts
        assert len({*kept}) == len(kept)
        assert [label_of[text] for text in kept] == kept_labels.tolist()
        assert example.shuffled((texts, labels), limit, 5)[0].tolist() == kept.tolist()
        assert example.shuffled((texts, labels), limit, 6)[0].tolist() != kept.tolist()


def test_reading(data: ModuleType, archive: Path, directory: Path) -> None:
    (texts, labels), (test_texts, test_labels) = data.load_imdb(str(archive))
    assert texts.dtype == object
    assert labels.dtype == np.float32
    assert labels.tolist() == test_labels.tolist() == [0] * N_REVIEWS + [1] * N_REVIEWS
    # In the order of the names, which is not that of the numbers.
    assert texts[0] == "A dull film,<br /><br /> and a dull end 0 . From train/neg."
    assert texts[1] == "A clumsy film,<br /><br /> and a dull end 10 . From train/neg."
    assert test_texts[-1].endswith("end 9 . From test/pos.")
    for path in (directory, directory / "aclImdb"):
        for part, expected in zip(
            data.load_imdb(str(path)), data.load_imdb(str(archive)), strict=True
        ):
            assert part[0].tolist() == expected[0].tolist()
            assert part[1].tolist() == expected[1].tolist()


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
    _write(tmp_path / "films" / "train" / "pos" / "0_9.txt", "A film")
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
    _write(tmp_path / "reviews.csv", "text,label\n" * 1000)
    line = error_line("--data", tmp_path / "reviews.csv")
    assert re.search(r"Cannot read '.*reviews\.csv' as a .*tar archive: .* Give the", line)


def test_another_archive(error_line: Callable[..., str], tmp_path: Path) -> None:
    _write(tmp_path / "aclImdb" / "README", "Nothing here")
    line = error_line("--data", _packed(tmp_path, tmp_path / "other.tar.gz"))
    assert "other.tar.gz' has no reviews (*.txt files) in train/neg, train/pos" in line


def test_review_that_is_not_utf8(error_line: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "aclImdb" / "test" / "neg" / "7_1.txt"
    _write(path, "")
    path.write_bytes(b"caf\xe9")
    for broken in (tmp_path, _packed(tmp_path, tmp_path / "latin.tar.gz")):
        line = error_line("--data", broken)
        assert re.search(r"argument --data: The review '.*7_1\.txt' is not UTF-8", line)


def test_output_is_a_file(error_line: Callable[..., str], tmp_path: Path) -> None:
    _write(tmp_path / "file", "")
    line = error_line("--output", tmp_path / "file")
    assert "argument --output: cannot make the directory: " in line


def test_without_matplotlib(
    error_line: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert re.search(r'matplotlib, .*: pip install "keras-elmo\[examples\]"$', error_line())


@pytest.fixture
def downloads(
    data: ModuleType, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """Keras "downloads" the tiny archive, which passes for the real one."""
    calls: list[dict[str, Any]] = []

    def get_file(**kwargs: Any) -> str:
        calls.append(kwargs)
        return str(archive)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(data, "ARCHIVE_BYTES", archive.stat().st_size)
    monkeypatch.setattr(data, "N_REVIEWS", N_REVIEWS)
    return calls


def test_download(data: ModuleType, archive: Path, downloads: list[dict[str, Any]]) -> None:
    training, _ = data.load_imdb("download")
    assert training[0].tolist() == data.load_imdb(str(archive))[0][0].tolist()
    (call,) = downloads
    assert call["origin"].startswith("https://ai.stanford.edu/")
    assert call["extract"] is False


@pytest.mark.usefixtures("downloads")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ARCHIVE_BYTES", r"has [\d,]+ bytes; the published archive has 99,999\. Delete"),
        ("N_REVIEWS", r"must hold 99,999 reviews in each of train/neg.*'test/pos': 12"),
    ],
)
def test_download_of_something_else(
    data: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setattr(data, name, 99_999)
    with pytest.raises(data.DataError, match=message):
        data.load_imdb("download")


def test_failed_download(
    error_line: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_file(**kwargs: Any) -> str:
        raise Exception("URL fetch failure")  # the class that Keras raises

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    message = r"argument --data: Cannot download https://.* \(URL fetch failure\)\. Check"
    assert re.search(message, error_line("--data", "download"))
