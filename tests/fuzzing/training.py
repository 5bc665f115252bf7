"""Targets: the readers of pretraining, of corpora, and of saved models."""

from __future__ import annotations

import csv
import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_elmo import ElmoEmbeddingLayer, SourceError
from keras_elmo.cli.train import read_config
from keras_elmo.errors import BadLinesError
from keras_elmo.pretraining.checkpoint import CHECKPOINT_NAME, restore
from keras_elmo.pretraining.softmax_file import SoftmaxWeights, load_softmax, save_softmax
from keras_elmo.pretraining.vocabulary import Vocabulary
from keras_elmo.text.lines import read_lines
from keras_elmo.text.reader import read_sentences
from keras_elmo.vectors.store import read_record
from keras_elmo.vectors.vectors import _layer_of_model
from tests.fuzzing.containers import mutated_gzip, mutated_npy, zip_or_member
from tests.fuzzing.mutations import Rng, mutated, mutated_json
from tests.fuzzing.target import Files, Target, require
from tests.tiny_models import LEAST

_WORDS = ["<S>", "</S>", "<UNK>", "the", "of", "naïve"]


class Softmax(Target):
    """``softmax.npz`` and ``vocabulary.txt``."""

    name = "softmax"
    errors = (SourceError,)

    def make(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        kernel, bias = rng.normal(size=(6, 4)), rng.normal(size=6)
        weights = SoftmaxWeights(Vocabulary(_WORDS), kernel.astype("f4"), bias.astype("f4"))
        save_softmax(folder, weights)

    def spoil(self, files: Files, rng: Rng) -> Files:
        self.fits = True
        if rng.random() < 0.15:
            return {**files, "vocabulary.txt": mutated(files["vocabulary.txt"], rng)}
        change = {".npy": mutated_npy}
        content, self.fits = zip_or_member(files["softmax.npz"], rng, change)
        return {**files, "softmax.npz": content}

    def read(self, folder: Path) -> Any:
        found = load_softmax(folder, 4)
        return found.vocabulary.words, found.kernel, found.bias

    def check(self, expected: Any, found: Any) -> None:
        words, kernel, bias = found
        require(self.fits, "a checksum was passed over")
        require((kernel.shape, bias.shape) == ((len(words), 4), (len(words),)), "shapes")
        require(kernel.dtype == bias.dtype == np.float32, "another dtype")


class TrainingCheckpoint(Target):
    """``checkpoint.npz``, from which an interrupted training goes on."""

    name = "training-checkpoint"

    def make(self, folder: Path) -> None:
        self.model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        self.model.compile("adam", "mse")
        self.model.optimizer.build(self.model.trainable_variables)
        variables = [*self.model.variables, *self.model.optimizer.variables]
        rng = np.random.default_rng(0)
        for variable in self.model.variables:
            variable.assign(rng.normal(size=variable.shape))
        arrays = {f"variable_{i}": np.asarray(v.value) for i, v in enumerate(variables)}
        np.savez(folder / CHECKPOINT_NAME, steps=7, **arrays)
        self.start = [np.zeros_like(np.asarray(v.value)) for v in variables]

    def spoil(self, files: Files, rng: Rng) -> Files:
        change = {".npy": mutated_npy}
        content, self.fits = zip_or_member(files[CHECKPOINT_NAME], rng, change)
        return {CHECKPOINT_NAME: content}

    def read(self, folder: Path) -> Any:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        for variable, start in zip(variables, self.start, strict=True):
            variable.assign(start)
        try:
            steps = restore(self.model, folder)
        except ValueError:
            is_used = any(np.asarray(v.value).any() for v in variables)
            require(not is_used, "a part of it was used")
            raise
        return steps, [np.asarray(v.value) for v in variables]

    def check(self, expected: Any, found: Any) -> None:
        require(self.fits and found[0] >= 0, "a checksum was passed over")


class SmallJson(Target):
    """The configuration of a training, and the record of a file that is being filled."""

    name = "json"

    def make(self, folder: Path) -> None:
        content = {"model": LEAST.to_options(), "training": {"n_steps": 500, "seed": 1}}
        (folder / "train.json").write_text(json.dumps(content))
        record = {"n_done": 3, "fingerprint": {"texts": "0123", "dtype": "float32"}}
        (folder / "out.npy.json").write_text(json.dumps(record))

    def spoil(self, files: Files, rng: Rng) -> Files:
        name = rng.choice(list(files))
        return {**files, name: mutated_json(files[name], rng)}

    def read(self, folder: Path) -> Any:
        config = read_config(folder / "train.json")
        return config, read_record(folder / "out.npy.json")

    def check(self, expected: Any, found: Any) -> None:
        settings = found[0][1].to_dict()
        for name, value in expected[0][1].to_dict().items():
            is_right = isinstance(settings[name], (type(value), int, type(None)))
            require(is_right, f"{name} is {settings[name]!r:.100}")


class Corpus(Target):
    """Text, JSON lines, CSV and gzip, of which any bytes may be a part."""

    name = "corpus"

    def make(self, folder: Path) -> None:
        texts = ["the cat sat", "naïve, café", 'a "quoted" word', ""] * 3
        (folder / "a.txt").write_text("\n".join(texts), encoding="utf-8")
        lines = [json.dumps({"text": text, "id": i}) for i, text in enumerate(texts)]
        (folder / "a.jsonl").write_text("\n".join(lines))
        with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
        for name in ("a.txt", "a.jsonl", "a.csv"):
            packed = gzip.compress((folder / name).read_bytes())
            (folder / f"{name}.gz").write_bytes(packed)

    def spoil(self, files: Files, rng: Rng) -> Files:
        self.file = rng.choice(list(files))
        change = mutated_gzip if self.file.endswith(".gz") else mutated
        return {**files, self.file: change(files[self.file], rng)}

    def read(self, folder: Path) -> Any:
        result = {}
        for path in sorted(folder.iterdir()):
            column = None if ".txt" in path.name else "text"
            ignore = {"report": lambda bad: None}
            options = {"column": column, "max_tokens": 100, **ignore}
            repaired = read_sentences(path, on_error="repair", **options)
            result[path.name] = [sentence.text for sentence in repaired]
            with suppress(BadLinesError):
                list(read_sentences(path, **options))
        return result, [line.data for line in read_lines(folder / "a.txt")]

    def check(self, expected: Any, found: Any) -> None:
        for name, texts in found[0].items():
            # What was not changed is read as before.
            require(name == self.file or texts == expected[0][name], name)


class KerasFile(Target):
    """A ``.keras`` file, as a source of embeddings: Keras reads it, we name it."""

    name = "keras"

    def make(self, folder: Path) -> None:
        text = keras.Input((), dtype="string")
        layer = ElmoEmbeddingLayer(LEAST, "word_emb", name="elmo")
        keras.Model(text, layer(text)).save(folder / "model.keras")

    def spoil(self, files: Files, rng: Rng) -> Files:
        change = {"config.json": mutated_json, ".h5": mutated}
        content, self.fits = zip_or_member(files["model.keras"], rng, change)
        return {"model.keras": content}

    def read(self, folder: Path) -> Any:
        keras.backend.clear_session()
        layer = _layer_of_model(folder / "model.keras")
        return [np.asarray(v) for v in layer.get_weights()]

    def check(self, expected: Any, found: Any) -> None:
        require(self.fits, "a checksum was passed over")


TARGETS = (Softmax, TrainingCheckpoint, SmallJson, Corpus, KerasFile)
