"""The IMDB example: the whole program on a tiny copy of the data."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import imdb_strategy
import keras
import numpy as np
import pytest

from tests.examples.imdb.runs import QUICK, SENTENCE, Run, StartRun
from tests.tiny_models import LEAST, TINY, saved_model


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
