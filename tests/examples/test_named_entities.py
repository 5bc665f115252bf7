"""The example that finds named entities: its parts by hand, the whole on made-up names."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.training.feature_datasets import _token_part
from tests.tiny_models import LEAST, saved_model

NAMES = ("Anna", "Bo", "Carl Dee")
PLACES = ("Rome", "New Oslo")


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return importlib.import_module("named_entities")


@pytest.fixture(scope="module")
def data() -> ModuleType:
    return importlib.import_module("named_entities_data")


@pytest.fixture(scope="module")
def scores() -> ModuleType:
    return importlib.import_module("named_entities_scores")


@pytest.fixture(scope="module")
def taggers() -> ModuleType:
    return importlib.import_module("named_entities_taggers")


def test_entities_by_hand(scores: ModuleType) -> None:
    def found(tags: str) -> list[tuple[str, int, int]]:
        return [tuple(entity) for entity in scores.entities(tags.split())]

    assert found("") == found("O O") == []
    assert found("B-a I-a O B-b") == [("a", 0, 2), ("b", 3, 4)]
    # Next to each other: of the same type, and of another.
    assert found("B-a B-a I-a") == [("a", 0, 1), ("a", 1, 3)]
    assert found("B-a I-b I-b") == [("a", 0, 1), ("b", 1, 3)]
    # What goes on with nothing begins.
    assert found("I-a O I-a I-a") == [("a", 0, 1), ("a", 2, 4)]
    assert found("O B-creative-work I-creative-work") == [("creative-work", 1, 3)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.integers(0, 2))))
def test_entities_are_those_that_were_tagged(pieces: list[tuple[str, int, int]]) -> None:
    tags: list[str] = []
    expected = []
    for kind, length, n_outside in pieces:
        expected.append((kind, len(tags), len(tags) + length))
        tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1), *["O"] * n_outside]
    scores = importlib.import_module("named_entities_scores")
    assert scores.entities(tags) == expected


def test_scores_by_hand(data: ModuleType, scores: ModuleType) -> None:
    sentences = [
        data.Sentence(("Bo", "met", "Carl", "Dee"), ("B-per", "O", "B-per", "I-per")),
        data.Sentence(("Rome", "saw", "Bo"), ("B-loc", "O", "B-per")),
    ]
    # Found: Bo rightly twice, of Carl Dee a part only, Rome as a person, and "saw".
    found = [["B-per", "O", "B-per", "O"], ["B-per", "B-loc", "B-per"]]
    assert scores.score(sentences, found) == (4, 5, 2)
    overall = scores.score(sentences, found)
    assert overall.precision == 2 / 5
    assert overall.recall == 2 / 4
    assert overall.f1 == pytest.approx(2 * 0.4 * 0.5 / (0.4 + 0.5))
    assert scores.scores_by_type(sentences, found) == {"loc": (1, 1, 0), "per": (3, 4, 2)}
    # Bo is there twice, and counts once.
    assert scores.surface_score(sentences, found) == (3, 4, 1)

    right = [sentence.tags for sentence in sentences]
    assert scores.score(sentences, right).f1 == 1
    nothing = [["O"] * 4, ["O"] * 3]
    assert scores.score(sentences, nothing) == (4, 0, 0)
    assert scores.score(sentences, nothing).f1 == 0
    assert scores.score(sentences, nothing).precision == 0
    assert scores.Score(0, 0, 0).recall == 0
    assert scores.Score(0, 0, 0).f1 == 0
    with pytest.raises(
        ValueError, match="a tag for each token; got 2 for the 4 of 'Bo met"
    ):
        scores.score(sentences, [["O"] * 2, ["O"] * 3])


def test_reader(data: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    # Lines that end in CR too, a line of a tab between sentences, no line at the end, and a
    # token that some take for the end of a line.
    path.write_bytes("\n\nBo\tB-per\r\n\u2028\tO\n\t\n\n@x\tO".encode())
    first, second = data.read_sentences(path)
    assert first == (("Bo", "\u2028"), ("B-per", "O"))
    assert second == (("@x",), ("O",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Bo\tO\n\nCarl Dee\n", r"a.conll', line 3: expected .*; got 1 fields in 'Carl D"),
        (b"Bo\tNNP\tO\n", "line 1: expected a token, a tab and a tag; got 3 fields"),
        (b"Bo\tO\n\tO\n", r"line 2: a token must not be empty or have spaces; got ''"),
        (b"Carl Dee\tB-per\n", "line 1: a token must .* spaces; got 'Carl Dee'"),
        (
            b"\nBo\tperson\n",
            "line 2: a tag must be O, or B- or I- and a type; got 'person'",
        ),
        (b"Bo\tB-\n", "line 1: a tag must be .*; got 'B-'"),
        (b"\n \n", r"The file '.*a\.conll' has no sentences"),
        (b"caf\xe9\tO\n", r"The file '.*a\.conll' is not UTF-8: "),
    ],
)
def test_reader_refuses(
    content: bytes, message: str, data: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "a.conll").write_bytes(content)
    with pytest.raises(data.DataError, match=message):
        data.read_sentences(tmp_path / "a.conll")


def test_wnut17(data: ModuleType, scores: ModuleType, shared: Path) -> None:
    parts = data.read_parts(shared / "data" / "wnut17", None, 0)
    assert [(part, len(sentences)) for part, sentences in parts.items()] == [
        ("train", 3394),
        ("dev", 1009),
        ("test", 1287),
    ]
    n_tokens = [sum(len(s.tokens) for s in sentences) for sentences in parts.values()]
    assert n_tokens == [62730, 15733, 23394]
    n_entities = [
        sum(len(scores.entities(s.tags)) for s in sentences) for sentences in parts.values()
    ]
    assert n_entities == [1975, 836, 1079]
    tags = importlib.import_module("named_entities_taggers").tag_names(parts["train"])
    assert len(tags) == 1 + 2 * 6
    assert tags[:2] == ["O", "B-corporation"]


def test_words_and_ids(data: ModuleType, taggers: ModuleType) -> None:
    sentences = [
        data.Sentence(("a", "b", "a"), ("O", "I-x", "B-y")),
        data.Sentence(("c", "b", "a"), ("O", "O", "B-x")),
    ]
    assert taggers.tag_names(sentences) == ["O", "B-x", "B-y", "I-x"]
    # "c" is there once only, and unknown.
    vocabulary = taggers.make_vocabulary(sentences)
    assert vocabulary == {"a": 2, "b": 3}
    ids = taggers.word_ids([*sentences, data.Sentence(("d",), ("O",))], vocabulary)
    assert [row.tolist() for row in ids] == [[2, 3, 2], [1, 3, 2], [1]]


def _lines(phrase: str, kind: str) -> list[str]:
    first, *others = phrase.split()
    return [f"{first}\tB-{kind}", *(f"{word}\tI-{kind}" for word in others)]


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model whose graphs are made fastest."""
    return str(saved_model(tmp_path_factory.mktemp("least_model"), LEAST))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data: ModuleType) -> Path:
    """A dozen sentences, and a test on the same names behind each other's verbs."""
    root = tmp_path_factory.mktemp("entities")
    verbs = {"train": ("saw", "left"), "dev": ("saw",), "test": ("left",)}
    for part, name in data.FILES.items():
        sentences = [
            [*_lines(person, "person"), f"{verb}\tO", *_lines(place, "location"), ".\tO"]
            for person in NAMES
            for place in PLACES
            for verb in verbs[part]
        ]
        text = "\n\n".join("\n".join(lines) for lines in sentences)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_whole_program(
    example: ModuleType,
    taggers: ModuleType,
    folder: Path,
    least: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {
        "LSTM_UNITS": 8,
        "DROPOUT": 0.0,
        "LEARNING_RATE": 0.05,
        "BATCH_SIZE": 4,
    }.items():
        monkeypatch.setattr(taggers, name, value)
    out = tmp_path / "out"
    argv = ["--data", str(folder), "--source", least, "--output", str(out)]
    assert example.main(["Bo left New Oslo.", *argv, "--epochs", "15"]) == 0
    printed = capsys.readouterr().out
    assert "train     12 sentences      58 tokens     24 entities\n" in printed
    assert printed.count("Epoch 15: loss 0.") == 2
    numbers = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    kinds = ["all entities", "different entities", "location", "person"]
    for name in ("ELMo", "learned embedding"):
        assert list(numbers[name]["test"]) == kinds
        # Both have seen each name, and end with their best epoch.
        assert numbers[name]["dev"]["all entities"]["f1"] == 1
        assert numbers[name]["test"]["all entities"]["f1"] >= 0.9
    f1 = numbers["ELMo"]["test"]["all entities"]["f1"]
    assert re.search(rf"test sentences[^_]*\nall entities .* {f1:.4f} .*\n", printed)
    assert "on 'Bo left New Oslo.': Bo (person), New Oslo (location)\n" in printed
    assert (out / "f1.png").read_bytes().startswith(b"\x89PNG\r\n")

    # Features of other sentences are not mixed with these.
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main([*argv, "--limit", "3"])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "argument --output: path: " in line
    assert "train.npy' is of something else: these differ: texts" in line


def test_the_token_model_says_what_the_tagger_says(
    data: ModuleType, taggers: ModuleType, least: str, tmp_path: Path
) -> None:
    sentences = [data.Sentence(("Bo", "Oslo", "."), ("O",) * 3), data.Sentence(("a",), "O")]
    layer = ElmoEmbeddingLayer(least, "layers")
    features = taggers.elmo_features(layer, sentences, tmp_path / "a.npy")
    tagger = taggers.elmo_tagger(features, 4)
    expected = np.asarray(tagger(_token_part(features)[0](np.arange(2)).astype(np.float32)))
    tokens = np.array([["Bo", "Oslo", "."], ["a", "", ""]], dtype=object)
    found = np.asarray(taggers.token_model(least, tagger)(tokens))
    assert found.shape == (2, 3, 4)
    # The file is in half precision.
    np.testing.assert_allclose(found[0], expected[0], atol=1e-3)
    np.testing.assert_allclose(found[1, 0], expected[1, 0], atol=1e-3)


def test_padding_is_left_out(taggers: ModuleType) -> None:
    """It is no part of the loss, and changes no tag of what stands beside it."""
    random = np.random.default_rng(0)
    values = random.normal(size=(4, 2, 3)).astype(np.float32)
    features = [values[:3], values[3:]]
    tagger = taggers.elmo_tagger(features, 5)
    tagger.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    padded = _token_part(features)[0](np.arange(2))  # (2, 3, 2, 3)
    probabilities = np.asarray(tagger(padded))  # (2, 3, 5)
    labels = np.array([[1, 2, 0], [4, 0, 0]])
    right = [probabilities[0, i, label] for i, label in enumerate([1, 2, 0])]
    right.append(probabilities[1, 0, 4])
    expected = -np.mean(np.log(right))
    assert tagger.test_on_batch(padded, labels) == pytest.approx(expected, rel=1e-4)
    alone = np.asarray(tagger(_token_part(features)[0](np.array([1]))))  # (1, 1, 5)
    np.testing.assert_allclose(probabilities[1, :1], alone[0], atol=1e-6)


@pytest.fixture
def error_line(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The last line that a run with a wrong argument writes."""

    def run(*args: Any) -> str:
        with pytest.raises(SystemExit, match=r"^2$"):
            example.main(["--output", str(tmp_path / "out"), *map(str, args)])
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


def test_errors(error_line: Callable[..., str], folder: Path, tmp_path: Path) -> None:
    assert "the following arguments are required: --data" in error_line()
    line = error_line("--data", tmp_path / "none")
    assert re.search("argument --data: There is no directory '.*none'. Give the one", line)
    (tmp_path / "emerging.dev.conll").touch()
    line = error_line("--data", tmp_path)
    assert "lacks wnut17train.conll, emerging.test.annotated. Give the one with" in line
    there = ("--data", folder)
    assert "--source: source 'none': there is no" in error_line(*there, "--source", "none")
    assert "argument --epochs: must be a whole" in error_line(*there, "--epochs", "0")
    assert "argument sentence: must not be empty" in error_line(*there, " ")
    (tmp_path / "out").touch()
    assert re.search("argument --output: .*File exists: '.*out'", error_line(*there))
