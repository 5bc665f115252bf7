"""Words predicted in context: the same numbers as in evaluation, on every backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_elmo import SourceError
from keras_elmo.cli.main import main
from keras_elmo.pretraining import Vocabulary, WordPredictor, evaluate
from keras_elmo.pretraining.softmax_file import SoftmaxWeights, save_softmax
from tests.manylangs_models import manylangs_model
from tests.tiny_models import TINY, saved_model

pytestmark = pytest.mark.any_backend

WORDS = ["<S>", "</S>", "<UNK>", "the", "cat", "sat", ".", "mat"]
TEXTS = ["the cat sat .", "a mat", "sat", "the the the the the the cat ."]


def with_softmax(folder: Path, features: int) -> Path:
    rng = np.random.default_rng(0)
    kernel = 3 * rng.normal(size=(len(WORDS), features))
    bias = rng.normal(size=len(WORDS))
    save_softmax(folder, SoftmaxWeights(Vocabulary(WORDS), kernel, bias))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = saved_model(tmp_path_factory.mktemp("model"))
    return with_softmax(folder, TINY.projection_dim)


@pytest.mark.parametrize("kind", ["bytes", "ELMoForManyLangs"])
def test_scores_are_those_of_evaluate(source: Path, kind: str, tmp_path: Path) -> None:
    """Also if the model has other boundaries, words and characters than the softmax."""
    if kind != "bytes":
        source = with_softmax(manylangs_model(tmp_path / "model"), 4)
    predictor = WordPredictor(source)
    scores = predictor.scores(TEXTS)
    for text, score in zip(TEXTS, scores, strict=True):
        assert score.tokens == text.split()
        assert score.forward.shape == score.backward.shape == (len(score.tokens),)
        assert score.forward.dtype == np.float32
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    targets = [len(score.tokens) + 1 for score in scores]  # of each direction
    mean = np.average([np.log(score.perplexity) for score in scores], weights=targets)
    found = evaluate(source, [tmp_path / "texts.txt"])
    assert np.exp(mean) == pytest.approx(found.mean, rel=1e-5)
    assert predictor.scores([]) == []
    (empty,) = predictor.scores([""])
    assert empty.tokens == []
    assert empty.perplexity > 1


@pytest.mark.parametrize("most_logits", [1 << 24, 20])
def test_substitutes(source: Path, most_logits: int, monkeypatch: Any) -> None:
    """All words of the vocabulary: the token has the probability that its score says."""
    name = "keras_elmo.pretraining.word_predictor._MOST_LOGITS"
    monkeypatch.setattr(name, most_logits)
    predictor = WordPredictor(source)
    tokens = [text.split() for text in TEXTS]
    found = predictor.substitutes(tokens, n=100)
    assert [[each.token for each in sentence] for sentence in found] == tokens
    for score, sentence in zip(predictor.scores(TEXTS), found, strict=True):
        for i, (token, forward, backward, both) in enumerate(sentence):
            f, b = dict(forward), dict(backward)
            assert sorted(f) == sorted(b) == sorted(dict(both)) == sorted(WORDS[3:])
            for ranked in (forward, backward, both):
                assert ranked == sorted(ranked, key=lambda pair: -pair[1])
            if token in f:
                assert np.log(f[token]) == pytest.approx(score.forward[i], abs=1e-5)
                assert np.log(b[token]) == pytest.approx(score.backward[i], abs=1e-5)
            (first, p), (second, q) = both[:2]
            ratio = f[first] * b[first] / (f[second] * b[second])
            assert p / q == pytest.approx(ratio, rel=1e-4)
    shorter = predictor.substitutes(TEXTS, n=2)
    assert [t.both for s in shorter for t in s] == [t.both[:2] for s in found for t in s]


def test_files_in_other_places(source: Path, tmp_path: Path) -> None:
    for name in ("weights.hdf5", "softmax.npz"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    more = {"options": source / "options.json", "vocabulary": source / "vocabulary.txt"}
    (score,) = WordPredictor(tmp_path / "weights.hdf5", **more).scores(TEXTS[:1])
    (expected,) = WordPredictor(source).scores(TEXTS[:1])
    np.testing.assert_allclose(score.forward, expected.forward, atol=1e-6)
    with pytest.raises(SourceError, match="has no vocabulary: expected one vocab"):
        WordPredictor(tmp_path / "weights.hdf5", options=more["options"])


def test_refuses(source: Path) -> None:
    predictor = WordPredictor(source)
    with pytest.raises(ValueError, match="n must be"):
        predictor.substitutes(TEXTS, n=0)
    with pytest.raises(TypeError, match=r"single text 'the cat'\. Put it into a list"):
        predictor.scores("the cat")
    with pytest.raises(ValueError, match=r"split must be one of .*; got None"):
        WordPredictor(source, split=None)


@pytest.mark.tensorflow
def test_command(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"substitutes {source} -n 2 --word cat".split()
    assert main([*words, "the cat sat."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cat"
    assert lines[1].split() == ["both", "forward", "backward"]
    assert main([*words, "the cat sat.", "--json"]) == 0
    ((token,),) = json.loads(capsys.readouterr().out)
    assert token["token"] == "cat"
    for (word, probability), line in zip(token["both"], lines[2:], strict=True):
        assert line.split()[:2] == [f"{probability:.1%}", word]
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*words, "the dog sat."])
    assert "--word: 'cat' is not in the sentence" in capsys.readouterr().err
