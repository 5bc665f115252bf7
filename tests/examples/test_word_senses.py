"""The example that groups a word's occurrences: its parts by hand, the whole on "mini"."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_elmo import ElmoEmbeddingLayer
from tests.examples.running import PNG, load_example, run
from tests.manylangs_models import manylangs_model

text = load_example("word_senses/occurrences")
clusters = load_example("word_senses/clusters")
rules = load_example("word_senses/sense_rules")


def test_sentences() -> None:
    sentences = ["Mr. Smith (who?) is fine... but old.", "He said: 'Run!'"]
    sentences += ["Then (so it ends.)", "10 points!!!"]
    assert text.split_sentences(" ".join(sentences)) == sentences
    assert text.split_sentences("") == []


def test_occurrences() -> None:
    sentences = ["I like it, and like him.", "Like me?", "He dislikes it.", "Unlikely."]
    first, second = text.find_occurrences(sentences, "like")
    tokens = ("I", "like", "it", ",", "and", "like", "him", ".")
    assert (first, second) == ((tokens, 1), (tokens, 5))
    assert [first.neighbor(i) for i in (-2, -1, 1)] == [text.NO_WORD, "i", "it"]
    assert text.find_occurrences(sentences, "Like")[0].neighbor(-1) == text.NO_WORD
    # Of the longest sentences none is taken.
    assert len(text.find_occurrences(["a " * 60, "a " * 61], "a")) == 60


@pytest.fixture(params=["HDF5", "ELMoForManyLangs"])
def model(request: pytest.FixtureRequest, source: str, tmp_path: Path) -> str:
    return source if request.param == "HDF5" else str(manylangs_model(tmp_path / "136"))


def test_vectors_are_those_of_the_layer(model: str, tmp_path: Path) -> None:
    sentences = ["a b a", "c a d e"]
    occurrences = text.find_occurrences(sentences, "a")
    layer = ElmoEmbeddingLayer(model, "layers")
    found = clusters.word_vectors(layer, occurrences, tmp_path / "a.npy", progress=False)
    expected = np.asarray(layer(np.array(sentences, dtype=object)))  # (2, 4, layers, D)
    expected = expected[[0, 0, 1], [0, 2, 1]]  # (3, layers, D)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)

    of_layer = clusters.of_layer
    np.testing.assert_array_equal(of_layer(found, "top"), found[:, 2])
    np.testing.assert_array_equal(of_layer(found, "1"), found[:, 1])
    np.testing.assert_allclose(of_layer(found, "average"), found.mean(axis=1), atol=1e-6)
    second = slice(found.shape[2], 2 * found.shape[2])
    np.testing.assert_array_equal(of_layer(found, "all")[:, second], found[:, 1])
    # Without context the occurrences cannot be distinguished.
    assert not clusters.to_directions(of_layer(found, "0")).any()
    assert clusters.to_directions(of_layer(found, "1")).any()


def test_clusters() -> None:
    """Points around (5, 0, 0) and (0, 5, 0), with a large common part, in mixed order."""
    random = np.random.default_rng(0)
    senses = random.permutation(np.repeat([0, 1], [12, 30]))  # (42,)
    centres = np.array([[5.0, 0, 0], [0, 5, 0]])  # (2, 3)
    vectors = centres[senses] + 0.5 * random.normal(size=(42, 3)) + 100
    directions = clusters.to_directions(vectors)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-9)
    found = clusters.cluster(directions, 2)
    # The largest cluster comes first.
    np.testing.assert_array_equal(found, 1 - senses)
    np.testing.assert_array_equal(clusters.cluster(directions, 2, seed=3), found)
    assert clusters.agreement(senses, found) == pytest.approx((1, 30 / 42, 1), abs=1e-9)
    mixed = clusters.agreement(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2]))
    assert mixed[:2] == pytest.approx((5 / 6, 0.5), abs=1e-9)
    sizes = np.bincount(clusters.cluster(directions, 5))
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert len(sizes) == 5
    # What differs by rounding only is one cluster.
    vectors = np.full((6, 4), 3.0) + 1e-4 * np.arange(24).reshape(6, 4)
    assert not clusters.cluster(clusters.to_directions(vectors), 3).any()


def test_typical_and_nearest() -> None:
    angles = np.array([0.0, 0.5, 0.2, 3.0, 2.9])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (5, 2)
    groups = np.array([0, 0, 0, 1, 1])
    assert clusters.typical(directions, groups, 0) == [2, 0, 1]
    assert sorted(clusters.typical(directions, groups, 1)) == [3, 4]
    order, cosines = zip(*clusters.nearest(directions, 0), strict=True)
    assert order == (2, 1, 4, 3)
    assert cosines == pytest.approx(np.cos([0.2, 0.5, 2.9, 3.0]), abs=1e-9)


def test_labeled_sets() -> None:
    sentences = ["I would like that.", "He looks like you.", "A tall actor.", "We watch."]
    sets = [
        (one.name, one.kind, [[o.context(9) for o in part] for part in one.senses])
        for one in rules.labeled_sets(sentences, 9, 0)
    ]
    like = "like: verb / preposition"
    assert sets == [
        (like, "cue seen", [["I would [like] that ."], ["He looks [like] you ."]]),
        (like, "cue hidden", [["I blicket [like] that ."], ["He blicket [like] you ."]]),
        ("actor = watch", "made up", [["A tall [blicket] ."], ["We [blicket] ."]]),
    ]
    for senses in rules.RULES.values():
        first, second = (set(cues.split()) for cues in senses.values())
        assert not first & second


def test_any_source(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["like", "--source", model, "--limit", "6", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["group_senses.py", *arguments])
    load_example("word_senses/group_senses").main()
    assert (tmp_path / "like.png").read_bytes().startswith(PNG)


@pytest.mark.slow
def test_whole_program(tmp_path: Path) -> None:
    """What "like" means in the embedded reviews, on "mini"."""
    printed = run("word_senses/group_senses.py", folder=tmp_path)
    assert printed.startswith("'like' occurs 246 times in 5,667 sentences.\n")
    _, first, second = printed.split("\nCluster ")
    # "looks like" in one cluster, and the verb in the other.
    sizes = [int(part.split(maxsplit=2)[1]) for part in (first, second)]  # 142 and 104
    assert sum(sizes) == 246
    assert 130 < sizes[0] < 155
    assert "here (and elsewhere): looks 16% (0%), " in first
    assert "teenagers will [like] it" in second
    assert "I [like] that plot" in second
    second, nearest, _ = second.split("\n\n")
    assert nearest.startswith("Nearest to #")
    assert nearest.count("#") == 1 + 5
    out = tmp_path / "word_senses_output"
    assert (out / "like.png").read_bytes().startswith(b"\x89PNG\r\n")

    # The vectors are there already; without context there is nothing to distinguish.
    before = (out / "like.npy").stat().st_mtime_ns
    printed = run(
        "word_senses/group_senses.py", "--layer", "0", "--occurrence", "3", folder=tmp_path
    )
    assert (out / "like.npy").stat().st_mtime_ns == before
    assert "Cluster 1: 246 occurrences (100%)" in printed
    assert "here (and elsewhere): the same as elsewhere" in printed
    assert "Nearest to #3 (cluster 1)" in printed


@pytest.mark.slow
def test_evaluation(tmp_path: Path) -> None:
    """The table on the embedded reviews."""
    printed = run("word_senses/evaluate_groups.py", "--limit", "8", folder=tmp_path)
    (like,) = re.findall(r"like: verb / preposition +cue seen .*", printed)
    majority, *cells = like.split()[7:]
    # Layer 0 sees no context: chance. The others do: "would like", "looks like".
    assert cells[:2] == ["0.00", f"({majority})"]
    assert float(cells[4]) > 0.5
    kinds = re.findall(r"\nmean +(\w+ \w+) .*", printed)
    assert kinds == ["cue seen", "cue hidden", "made up"]
