"""Training and evaluating on text files: results, resuming, going on, errors."""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_elmo import ElmoConfig, ElmoEmbeddingLayer, SourceError, pretraining
from keras_elmo.hub.sources import load_source
from keras_elmo.pretraining import (
    BidirectionalLanguageModel,
    TrainingConfig,
    Vocabulary,
    evaluate,
    load_language_model,
)
from keras_elmo.pretraining.checkpoint import CHECKPOINT_NAME, LOG_NAME, Checkpoint
from keras_elmo.pretraining.vocabulary import SPECIAL_WORDS
from tests.tiny_models import TINY

train = functools.partial(pretraining.train, verbose=False)
# The layer on top of the tokens is small, so that the tests are quick.
SMALL = ElmoConfig(
    char_dim=4, filters=((1, 4), (2, 8)), n_highway=1, dim=8, projection_dim=6
)
QUICK = TrainingConfig(
    **{"n_steps": 6, "batch_size": 2, "window_steps": 5, "n_samples": 4, "dropout": 0.2},
    **{"learning_rate": 0.01, "warmup_steps": 2, "log_steps": 2},
)
STEP = {"n_steps": 2, "warmup_steps": 1}
TEXT = "the cat sat on the mat .\n\na dog barked at the cat !\nit ran away from the dog .\n"


@pytest.fixture(scope="module", autouse=True)
def eager() -> Iterator[None]:
    """Spares a few steps the time of making a graph."""
    compile_eagerly = functools.partialmethod(
        BidirectionalLanguageModel.compile, run_eagerly=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BidirectionalLanguageModel, "compile", compile_eagerly)
        yield


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained without interruption."""
    out = tmp_path_factory.mktemp("models") / "trained"
    train([text], out, SMALL, QUICK)
    return out


def changed(**changes: Any) -> TrainingConfig:
    return dataclasses.replace(QUICK, **changes)


def command(text: Path, out: Path, *options: str, **config: Any) -> list[str]:
    """The line that trains in a process of its own."""
    file = out.with_suffix(".json")
    file.write_text(json.dumps(config), encoding="utf-8")
    line = [sys.executable, "-m", "keras_elmo", "train", str(text), "--quiet", *options]
    return [*line, "--out", str(out), "--config", str(file)]


def _log(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG_NAME).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _kernel(folder: Path) -> np.ndarray:
    return load_source(folder).arrays["RNN_0/RNN/MultiRNNCell/Cell1/LSTMCell/W_0"]


def test_what_it_writes(trained: Path, text: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {
        *("checkpoint.npz", "log.csv", "options.json", "softmax.npz", "training.json"),
        *("vocabulary.txt", "weights.hdf5"),
    }
    assert [row["step"] for row in _log(trained)] == ["2", "4", "6"]
    for row in _log(trained):
        # Both directions have as many targets, so the mean loss is that of the two.
        both = float(row["forward_perplexity"]) * float(row["backward_perplexity"])
        assert float(row["perplexity"]) == pytest.approx(both**0.5, rel=1e-5)
        # The loss is a mean over windows, of which some have more targets than others.
        loss = pytest.approx(float(row["loss"]), rel=0.1)
        assert math.log(float(row["perplexity"])) == loss
    assert Vocabulary.load(trained / "vocabulary.txt").words[3:6] == ("the", ".", "cat")
    settings = json.loads((trained / "training.json").read_text(encoding="utf-8"))
    assert TrainingConfig.from_dict(settings["training"]) == QUICK
    assert ElmoConfig.from_options(settings["model"]) == SMALL
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert settings["texts"] == {str(text): digest}


def test_the_result_is_a_source(trained: Path) -> None:
    layer = ElmoEmbeddingLayer(trained, output_mode="elmo")
    model, _ = load_language_model(trained, batch_size=1)
    for ours, theirs in zip(layer.bilm.weights, model.bilm.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.ptp(keras.ops.convert_to_numpy(layer(["the cat"]))) > 0


def test_interrupted_and_resumed(
    trained: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Checkpoint, batch: int, logs: object = None) -> None:
        if int(self.model.optimizer.iterations) == 3:
            raise KeyboardInterrupt("in step 3")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt, match="in step 3"):
            train([text], out, SMALL, QUICK)
    assert [row["step"] for row in _log(out)] == ["2"]
    assert not (out / "weights.hdf5").exists()
    # As if it had been killed between the log and the checkpoint.
    with (out / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write("4,1,1,1,1\n")
    train([text], out, SMALL, QUICK, resume=True)
    assert _log(out) == _log(trained)
    np.testing.assert_array_equal(_kernel(out), _kernel(trained))
    # Once more: there is nothing left to do, and nothing changes.
    train([text], out, SMALL, QUICK, resume=True)
    assert _log(out) == _log(trained)
    np.testing.assert_array_equal(_kernel(out), _kernel(trained))


@pytest.mark.slow
def test_killed_and_resumed(text: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    settings = {"model": SMALL.to_options(), "training": QUICK.to_dict()}
    line = command(text, out, "--resume", **settings)
    process = subprocess.Popen(line)
    deadline = time.monotonic() + 300
    while not (out / CHECKPOINT_NAME).exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (-signal.SIGKILL, 0)
    for each in (line, command(text, whole, **settings)):
        subprocess.run(each, check=True)
    assert _log(out) == _log(whole)
    np.testing.assert_array_equal(_kernel(out), _kernel(whole))


@pytest.mark.slow
def test_jax_computes_the_same(trained: Path, text: Path, tmp_path: Path) -> None:
    """Without anything random, the losses are those of TensorFlow."""
    pytest.importorskip("jax", reason="JAX is not installed")
    fixed = {**QUICK.to_dict(), "n_samples": None, "dropout": 0.0}
    train([text], tmp_path / "here", trained, TrainingConfig(**fixed))
    line = command(text, tmp_path / "jax", "--init", str(trained), training=fixed)
    subprocess.run(line, check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    for here, there in zip(_log(tmp_path / "here"), _log(tmp_path / "jax"), strict=True):
        values = [[float(value) for value in row.values()] for row in (here, there)]
        np.testing.assert_allclose(*values, rtol=1e-4)
    np.testing.assert_allclose(
        _kernel(tmp_path / "jax"), _kernel(tmp_path / "here"), atol=1e-4
    )
    assert np.abs(_kernel(tmp_path / "jax") - _kernel(trained)).max() > 1e-3


def test_resume_needs_the_same_run(trained: Path, text: Path, tmp_path: Path) -> None:
    """The same settings, and the same content of texts and vocabulary."""
    out = tmp_path / "out"
    shutil.copytree(trained, out)
    message = r"resume: .* other settings; these differ from its training\.json: {}\."
    with pytest.raises(ValueError, match=message.format("training")):
        train([text], out, SMALL, changed(seed=1), resume=True)
    words = [*SPECIAL_WORDS, *sorted(Vocabulary.load(out / "vocabulary.txt").words[3:])]
    Vocabulary(words).save(tmp_path / "words.txt")
    arguments = {"vocabulary": tmp_path / "words.txt", "resume": True}
    with pytest.raises(ValueError, match=message.format("vocabulary")):
        train([text], out, SMALL, QUICK, **arguments)
    settings = json.loads((out / "training.json").read_text())
    (out / "training.json").write_text(json.dumps({**settings, "backend": "jax"}))
    with pytest.raises(ValueError, match=message.format("backend")):
        train([text], out, SMALL, QUICK, resume=True)
    settings["texts"] = {str(text): "of another text of the same size"}
    (out / "training.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=message.format("texts")):
        train([text], out, SMALL, QUICK, resume=True)
    shutil.copy(trained / "training.json", out)
    (out / CHECKPOINT_NAME).write_bytes(b"PK")
    with pytest.raises(
        ValueError, match=r"checkpoint .* is damaged or belongs to another model"
    ):
        train([text], out, SMALL, QUICK, resume=True)


def test_out_is_not_empty(trained: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FileExistsError, match=r"is not empty\. Choose a new directory, or resume"
    ):
        train([text], trained, SMALL, QUICK)
    (tmp_path / "letter.txt").write_text("Dear", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is not empty and holds no run to resume"):
        train([text], tmp_path, SMALL, QUICK, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_what_diverges_is_not_kept(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    wild = {"learning_rate": 1e38, "clip_norm": None, "warmup_steps": 0}
    config = changed(**wild, optimizer="sgd")
    with pytest.raises(FloatingPointError, match=r"The loss became .* Lower learning_rate"):
        train([text], out, SMALL, config)
    assert not (out / "weights.hdf5").exists()
    # After the last step nothing computes a loss that would show it.
    begin = Checkpoint.on_epoch_end

    def broken(self: Checkpoint, epoch: int, logs: object = None) -> None:
        if epoch == 2:
            self.model.softmax.bias.assign(np.nan * np.ones(self.model.softmax.bias.shape))
        begin(self, epoch, logs)

    monkeypatch.setattr(Checkpoint, "on_epoch_end", broken)
    other = tmp_path / "other"
    message = r"bias is not finite after step 6\. The last checkpoint is kept\. Lower"
    with pytest.raises(FloatingPointError, match=message):
        train([text], other, SMALL, QUICK)
    assert not (other / "weights.hdf5").exists()
    with np.load(other / CHECKPOINT_NAME) as kept:
        assert kept["steps"] == 4
        assert all(np.isfinite(kept[name]).all() for name in kept.files)


def test_wrong_arguments(trained: Path, text: Path, tmp_path: Path) -> None:
    """They leave nothing behind."""
    empty, out = tmp_path / "empty.txt", tmp_path / "out"
    empty.write_text("\n \n", encoding="utf-8")
    message = r"texts: found no words in .*empty\.txt"
    with pytest.raises(ValueError, match=message):
        train([empty], out, SMALL, QUICK)
    with pytest.raises(ValueError, match=message):
        evaluate(trained, [empty])
    with pytest.raises(FileNotFoundError, match=r"There is no text file 'none'"):
        evaluate(trained, ["none"])
    with pytest.raises(ValueError, match=r"options='x.json' is for a model in an .hdf5"):
        train([text], out, SMALL, QUICK, options="x.json")
    # The words of a softmax are not guessed.
    shutil.copytree(trained, tmp_path / "wordless")
    (tmp_path / "wordless" / "vocabulary.txt").unlink()
    Vocabulary([*SPECIAL_WORDS, "zebra"]).save(tmp_path / "words.txt")
    for more, message in (
        ({}, "has no vocabulary: expected one vocab"),
        ({"vocabulary": tmp_path / "words.txt"}, "Cannot read the softmax in .*words.txt"),
    ):
        with pytest.raises(SourceError, match=message):
            train([text], out, tmp_path / "wordless", QUICK, **more)
    with pytest.raises(ValueError, match="gradient_ascent"):
        train([text], out, SMALL, changed(optimizer="gradient_ascent"))
    assert not out.exists()


def test_continue_from_a_source(trained: Path, text: Path, tmp_path: Path) -> None:
    """A rate of next to nothing leaves everything as it was: it starts from the source."""
    steps = {"n_steps": 1, "log_steps": 1, "warmup_steps": 0, "batch_size": 1}
    still = changed(**steps, learning_rate=1e-12)
    out = tmp_path / "out"
    train([text], out, trained, still)
    np.testing.assert_allclose(_kernel(out), _kernel(trained), atol=1e-6)
    np.testing.assert_allclose(evaluate(out, [text]), evaluate(trained, [text]), rtol=1e-5)
    # With other words: the known ones keep their vectors.
    Vocabulary([*SPECIAL_WORDS, "zebra", "cat"]).save(tmp_path / "words.txt")
    other = tmp_path / "other"
    train([text], other, trained, still, vocabulary=tmp_path / "words.txt")
    new, _ = load_language_model(other, 1)
    old, old_words = load_language_model(trained, 1)
    rows = old_words.ids([*SPECIAL_WORDS, "cat"])
    found, expected = (np.asarray(model.softmax.kernel) for model in (new, old))
    np.testing.assert_allclose(found[[0, 1, 2, 4]], expected[rows], atol=1e-6)


def test_source_without_softmax(source: str, text: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no softmax"):
        evaluate(source, [text])
    train([text], tmp_path / "out", source, changed(**STEP))
    assert load_source(tmp_path / "out").config == TINY
    assert 1 < evaluate(tmp_path / "out", [text]).mean < 1000


def test_evaluation_does_not_depend_on_batches(trained: Path, text: Path) -> None:
    expected = evaluate(trained, [text], batch_size=1, window_steps=12)
    assert expected.mean == pytest.approx((expected.forward * expected.backward) ** 0.5)
    for batch_size, window_steps in ((2, 3), (5, 4)):
        found = evaluate(trained, [text], "reset", batch_size, window_steps)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_tensorboard(text: Path, tmp_path: Path) -> None:
    train([text], tmp_path / "out", SMALL, changed(**STEP), tensorboard=True)
    events = list((tmp_path / "out" / "tensorboard").rglob("events.out.tfevents.*"))
    assert events
    assert all(path.stat().st_size > 0 for path in events)
