"""The example that groups a word's occurrences: its parts by hand, the whole on "mini"."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_elmo import ElmoEmbeddingLayer
from keras_elmo.vectors import open_embeddings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module", autouse=True)
def _examples_on_path() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
        yield


@pytest.fixture(scope="module")
def example(_examples_on_path: None) -> ModuleType:
    return importlib.import_module("word_senses")


@pytest.fixture(scope="module")
def text(_examples_on_path: None) -> ModuleType:
    return importlib.import_module("word_senses_text")


@pytest.fixture(scope="module")
def clusters(_examples_on_path: None) -> ModuleType:
    return importlib.import_module("word_senses_clusters")


@pytest.fixture(scope="module")
def rules(_examples_on_path: None) -> ModuleType:
    return importlib.import_module("word_senses_rules")


def test_sentences(text: ModuleType) -> None:
    review = (
        "Mr. Smith (who?) is fine... but old.<br /><br />He said:  'Run!' Then (so it "
        "ends.) 10 points!!!"
    )
    assert text.split_sentences(review) == [
        "Mr. Smith (who?) is fine... but old.",
        "He said: 'Run!'",
        "Then (so it ends.)",
        "10 points!!!",
    ]
    assert text.split_sentences(" ") == []


def test_occurrences(text: ModuleType) -> None:
    sentences = ["I like it, and like him.", "Like me?", "He dislikes it.", "Unlikely."]
    first, second = text.find_occurrences(sentences, "like")
    tokens = ("I", "like", "it", ",", "and", "like", "him", ".")
    assert (first.tokens, first.position, second.position) == (tokens, 1, 5)
    assert second.tokens == tokens
    assert [first.neighbour(i) for i in (-2, -1, 1)] == [text.NO_WORD, "i", "it"]
    assert text.find_occurrences(sentences, "Like")[0].neighbour(-1) == text.NO_WORD
    # Of the longest sentences none is taken.
    assert len(text.find_occurrences(["a " * 60, "a " * 61], "a")) == 60


def test_context(text: ModuleType) -> None:
    occurrence = text.Occurrence(tuple("abcdefg"), 3)
    assert occurrence.context(1) == "... c [d] e ..."
    assert occurrence.context(3) == occurrence.context(9) == "a b c [d] e f g"
    assert text.Occurrence(("a", "b"), 0).context(0) == "[a] ..."
    assert "".join(occurrence.replaced(-1, "x").tokens) == "abxdefg"
    assert "".join(occurrence.replaced(0, "x").tokens) == "abcxefg"
    assert occurrence.replaced(1, "x").position == 3


@given(n=st.integers(0, 30), limit=st.integers(1, 40), seed=st.integers(0, 9))
def test_sample(n: int, limit: int, seed: int) -> None:
    sample = importlib.import_module("word_senses_text").sample
    chosen = sample(range(n), limit, seed)
    assert len(chosen) == len(set(chosen)) == min(n, limit)
    assert chosen == sorted(chosen)
    assert chosen == sample(range(n), limit, seed)


def test_another_seed_chooses_others(text: ModuleType) -> None:
    assert text.sample(range(100), 10, 0) != text.sample(range(100), 10, 1)


def test_characteristic(text: ModuleType) -> None:
    def word(left: str) -> Any:
        return text.Occurrence((left, "like"), 1)

    inside = [word(left) for left in ("looks", "Looks", "is", "I")]
    outside = [word("I"), word("is"), word("would"), word("would")]
    found = text.characteristic(inside, outside, -1, 3)
    # "i" and "is" are as frequent elsewhere, "would" is not here.
    assert found == [("looks", 0.5, 0.0)]
    found = text.characteristic(outside, inside[:2], -1, 2)
    assert found == [("would", 0.5, 0.0), ("i", 0.25, 0.0)]


def test_embedded_reviews(text: ModuleType) -> None:
    sentences = text.read_sentences(None)
    assert len(sentences) == len(set(sentences)) == 710
    assert len(text.find_occurrences(sentences, "like")) == 21


def test_vectors_are_those_of_the_layer(
    text: ModuleType, clusters: ModuleType, source: str, tmp_path: Path
) -> None:
    sentences = ["a b a", "c a d e"]
    occurrences = text.find_occurrences(sentences, "a")
    found = clusters.word_vectors(source, occurrences, tmp_path / "a.hdf5", progress=False)
    layer = ElmoEmbeddingLayer(source, output_mode="layers")
    expected = np.asarray(layer(np.array(sentences, dtype=object)))  # (2, 4, layers, D)
    expected = expected[[0, 0, 1], [0, 2, 1]]  # (3, layers, D)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    # The sentence that has the word twice is there once.
    with open_embeddings(tmp_path / "a.hdf5") as file:
        assert file.sentences == sentences

    of_layer = clusters.of_layer
    np.testing.assert_array_equal(of_layer(found, "top"), found[:, 2])
    np.testing.assert_array_equal(of_layer(found, "1"), found[:, 1])
    np.testing.assert_allclose(of_layer(found, "average"), found.mean(axis=1))
    np.testing.assert_array_equal(of_layer(found, "all")[:, 16:32], found[:, 1])
    # Without context the occurrences cannot be told apart.
    assert not clusters.to_directions(of_layer(found, "0")).any()
    assert clusters.to_directions(of_layer(found, "1")).any()


@pytest.mark.parametrize("layer", ["3", "-1", "bottom", ""])
def test_no_such_layer(clusters: ModuleType, layer: str) -> None:
    with pytest.raises(ValueError, match=r"or a number from 0 to 2; got "):
        clusters.of_layer(np.zeros((4, 3, 2)), layer)


def _two_groups() -> tuple[np.ndarray, np.ndarray]:
    """Points around (5, 0, 0) and (0, 5, 0), with a large common part, in mixed order."""
    random = np.random.default_rng(0)
    senses = random.permutation(np.repeat([0, 1], [12, 30]))  # (42,)
    centres = np.array([[5.0, 0, 0], [0, 5, 0]])  # (2, 3)
    noise = random.normal(size=(42, 3))  # (42, 3)
    return centres[senses] + 0.5 * noise + 100, senses


def test_clusters(clusters: ModuleType) -> None:
    vectors, senses = _two_groups()
    directions = clusters.to_directions(vectors)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    found = clusters.cluster(directions, 2)
    # The largest cluster comes first.
    np.testing.assert_array_equal(found, 1 - senses)
    np.testing.assert_array_equal(clusters.cluster(directions, 2, seed=3), found)
    assert clusters.agreement(senses, found) == (1.0, 30 / 42, 1.0)
    sizes = np.bincount(clusters.cluster(directions, 5))
    assert len(sizes) == 5
    assert sizes.tolist() == sorted(sizes, reverse=True)


def test_equal_vectors_are_one_cluster(clusters: ModuleType) -> None:
    vectors = np.full((6, 4), 3.0) + 1e-4 * np.arange(24).reshape(6, 4)
    found = clusters.cluster(clusters.to_directions(vectors), 3)
    np.testing.assert_array_equal(found, 0)
    senses = np.array([0, 0, 0, 0, 1, 1])
    assert clusters.agreement(senses, found) == (4 / 6, 4 / 6, 0.0)


def test_agreement_by_hand(clusters: ModuleType) -> None:
    found = clusters.agreement(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2]))
    assert found.purity == pytest.approx(5 / 6)
    assert found.majority == 0.5
    # Pairs together in both: 2; in senses 6, in clusters 3, of 15; by chance 6 * 3 / 15.
    assert found.rand_index == pytest.approx((2 - 1.2) / (4.5 - 1.2))


def test_typical_and_nearest(clusters: ModuleType) -> None:
    angles = np.array([0.0, 0.5, 0.2, 3.0, 2.9])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (5, 2)
    groups = np.array([0, 0, 0, 1, 1])
    assert clusters.typical(directions, groups, 0) == [2, 0, 1]
    assert sorted(clusters.typical(directions, groups, 1)) == [3, 4]
    order, cosines = zip(*clusters.nearest(directions, 0), strict=True)
    assert order == (2, 1, 4, 3)
    assert cosines == pytest.approx(np.cos([0.2, 0.5, 2.9, 3.0]))


def test_labelled_sets(text: ModuleType, rules: ModuleType) -> None:
    sentences = ["I would like that.", "He looks like you.", "A tall actor.", "We watch."]
    seen, hidden, made_up = rules.labelled_sets(sentences, 9, 0)
    assert (seen.name, seen.kind) == ("like: verb / preposition", "cue seen")
    assert [[" ".join(o.tokens) for o in part] for part in seen.senses] == [
        ["I would like that ."],
        ["He looks like you ."],
    ]
    assert hidden.kind == "cue hidden"
    assert [[o.context(9) for o in part] for part in hidden.senses] == [
        ["I blicket [like] that ."],
        ["He blicket [like] you ."],
    ]
    assert (made_up.name, made_up.kind) == ("actor = watch", "made up")
    assert [[o.context(9) for o in part] for part in made_up.senses] == [
        ["A tall [blicket] ."],
        ["We [blicket] ."],
    ]


def test_rules_divide(rules: ModuleType) -> None:
    assert len({rule.word for rule in rules.RULES}) == len(rules.RULES)
    for rule in rules.RULES:
        first, second = (set(words.split()) for words in rule.cues)
        assert not first & second
        assert rule.offset in (-1, 1)


@pytest.fixture
def run(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs the program and returns what it printed."""

    def run(*args: str) -> str:
        assert example.main([*args, "--output", str(tmp_path / "out")]) == 0
        return capsys.readouterr().out

    return run


def test_whole_program(run: Callable[..., str], tmp_path: Path) -> None:
    """What "like" means in the embedded reviews, on "mini"."""
    printed = run("--limit", "21")
    assert printed.startswith("'like' occurs 21 times in 710 sentences.\n")
    _, first, second = printed.split("\nCluster ")
    assert first.startswith("1: 11 occurrences (52%)\n")
    # The verb in one cluster, and "looks like" in the other.
    assert "teenagers will [like] it" in first
    assert "would really [like] to know" in first
    assert second.startswith("2: 10 occurrences (48%)\n  on the left, here (and elsewhere)")
    assert "looks 50% (0%)" in second
    assert "itself looks [like] a painting" in second
    second, nearest, written = second.split("\n\n")
    assert nearest.startswith("Nearest to #")
    assert nearest.count("#") == 1 + 5
    vectors, picture = tmp_path / "out" / "like.hdf5", tmp_path / "out" / "like.png"
    assert written.splitlines() == [f"Wrote {vectors}", f"Wrote {picture}"]
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")

    # The second time nothing is embedded, and the same is found.
    inode, when = vectors.stat().st_ino, vectors.stat().st_mtime_ns
    assert run("--limit", "21") == printed
    assert (vectors.stat().st_ino, vectors.stat().st_mtime_ns) == (inode, when)

    # Without context there is nothing to tell apart.
    other = tmp_path / "other.png"
    printed = run(
        "--limit", "21", "--layer", "0", "--occurrence", "3", "--plot", str(other)
    )
    assert "Cluster 1: 21 occurrences (100%)" in printed
    assert "Cluster 2" not in printed
    assert "here (and elsewhere): the same as elsewhere" in printed
    assert "Nearest to #3 (cluster 1)" in printed
    assert other.read_bytes().startswith(b"\x89PNG\r\n")


@pytest.fixture
def error_line(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The last line that a run with a wrong argument writes."""

    def run(*args: str) -> str:
        with pytest.raises(SystemExit, match=r"^2$"):
            example.main(["--output", str(tmp_path / "out"), *args])
        return capsys.readouterr().err.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["two words"], "argument WORD: must be a single word, not 'two words'"),
        (["..."], "argument WORD: must be a single word, not '...'"),
        (["like", "--plot", "like.pdf"], "argument --plot: must end in .png"),
        (["like", "--clusters", "0"], "argument --clusters: must be a whole number from 1"),
        (
            ["like", "--clusters", "22"],
            "22 clusters and a picture need 22 occurrences; there are 21",
        ),
        (
            ["xylophone"],
            "argument WORD: 2 clusters and a picture need 3 occurrences; there are 0.",
        ),
        (["like", "--occurrence", "21"], "the last of 21 occurrences is 20"),
        (["like", "--data", "none"], "--data: There is no file or directory 'none'"),
        (["like", "--source", "none"], "argument --source: source 'none': there is no"),
    ],
)
def test_errors(args: list[str], message: str, error_line: Callable[..., str]) -> None:
    assert message in error_line(*args)


def test_errors_after_embedding(
    error_line: Callable[..., str], source: str, tmp_path: Path
) -> None:
    args = ["like", "--source", source]
    assert "argument --layer: must be top, average" in error_line(*args, "--layer", "3")
    # The vectors of other sentences are not mixed with these.
    line = error_line(*args, "--limit", "20")
    assert "argument --output: path: " in line
    assert "like.hdf5' is of something else: these differ: texts" in line
    nowhere = tmp_path / "no" / "folder.png"
    assert "argument --plot: " in error_line(*args, "--plot", str(nowhere))
    assert not nowhere.parent.exists()


def test_evaluation(
    text: ModuleType,
    rules: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The table on the embedded reviews, for "like"."""
    evaluation = importlib.import_module("word_senses_evaluation")
    sentences = text.read_sentences(None)
    monkeypatch.setattr(evaluation, "read_sentences", lambda data: sentences)
    monkeypatch.setattr(rules, "RULES", rules.RULES[:1])
    monkeypatch.setattr(rules, "PAIRS", ())
    assert evaluation.main(["reviews", "--limit", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["n", "majority", "layer", "0", "layer"]
    (seen,) = [line for line in lines if line.startswith("like") and "seen" in line]
    # Layer 0 sees no context: chance. The others tell "would like" from "looks like".
    majority, *cells = seen.split()[7:]
    assert cells[:2] == ["0.00", f"({majority})"]
    assert float(cells[4]) > 0.5
    means = [line.split() for line in lines[-2:]]
    assert [mean[:3] for mean in means] == [
        ["mean", "cue", "seen"],
        ["mean", "cue", "hidden"],
    ]
    assert f"{float(means[0][4]):.2f}" == cells[2]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none"], "argument DATA: There is no file or directory 'none'"),
        (["none", "--source", "none"], "argument --source: source 'none': there is no"),
        (["none", "--source", "random", "--limit", "1"], "--limit: must be a whole number"),
    ],
)
def test_evaluation_errors(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = importlib.import_module("word_senses_evaluation")
    with pytest.raises(SystemExit, match=r"^2$"):
        evaluation.main(args)
    assert message in capsys.readouterr().err
