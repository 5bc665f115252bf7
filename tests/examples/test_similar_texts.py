"""The example of similar texts: halves and measures by hand, the whole on few reviews."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.tiny_models import LEAST, saved_model

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def halves() -> ModuleType:
    return importlib.import_module("text_halves")


@pytest.fixture(scope="module")
def measures() -> ModuleType:
    return importlib.import_module("text_retrieval")


@pytest.fixture(scope="module")
def vectors() -> ModuleType:
    return importlib.import_module("text_vectors")


def test_halve_by_hand(halves: ModuleType) -> None:
    first = "A film about a man who sells his boat."
    second = "He buys it back! And that is all that happens to him."
    assert halves.halve(f"{first}<br />{second}", 150) == (
        "A film about a man who sells his boat .",
        "He buys it back ! And that is all that happens to him .",
    )
    # Cut off behind "all": the middle has moved, but stands between the same sentences.
    assert halves.halve(f"{first} {second}", 17)[1] == "He buys it back ! And that is all"
    # One sentence, and halves of which one is too short.
    assert halves.halve(first, 150) is None
    assert halves.halve(f"{first} Avoid!", 150) is None
    assert halves.halve("", 150) is None


def test_embedded_halves(halves: ModuleType) -> None:
    reference, test = halves.read_halves(None, 5000, 20, 150, 0)
    assert [len(part) for part in (*reference, *test)] == [153, 153, 20, 20]
    for first, second in zip(*test, strict=True):
        assert min(len(first.split()), len(second.split())) >= halves.LEAST_TOKENS
    # The seed chooses.
    assert halves.read_halves(None, 5000, 20, 150, 0) == (reference, test)
    assert halves.read_halves(None, 5000, 20, 150, 1)[1] != test
    with pytest.raises(
        halves.DataError, match=r"^0 of 240 reviews have .* first 8 words; 4"
    ):
        halves.read_halves(None, 5000, 20, 8, 0)


def test_sentences_by_hand(halves: ModuleType) -> None:
    pairs = halves.Halves(
        ["It rains . I like the film .", "I like the film ."],
        ["What a fine song !", " ".join(["long"] * 41)],
    )
    assert halves.sentences_of(pairs, 5) == ["I like the film .", "What a fine song !"]
    assert halves.sentences_of(pairs, 1) == ["I like the film ."]
    assert pairs.part(1) == (["I like the film ."], pairs.second[1:])
    names = halves.Halves(['Bo likes Rome , " Oslo " too'], ["I", "a 2nd"])
    assert names.without_capitals() == (['likes , " " too'], ["", "a 2nd"])


def test_ranks_by_hand(measures: ModuleType) -> None:
    similarities = np.array(
        [
            [
                [0.9, 0.1, 0.2],  # its own, the first number, is the highest: 1
                [0.5, 0.4, 0.3],  # one is higher than 0.4: 2
                [0.7, 0.7, 0.7],  # three alike at places 1 to 3: 2
            ]
        ]
    )
    assert measures.ranks(similarities).tolist() == [[1, 2, 2]]
    found = measures.retrieval(similarities)
    assert found == pytest.approx((1 / 3, 1, (1 + 1 / 2 + 1 / 2) / 3))
    # All alike: chance, not success.
    found = measures.retrieval(np.ones((1, 100, 100)))
    assert found == pytest.approx((0, 0, 1 / 50.5))


def test_cosines_by_hand(measures: ModuleType) -> None:
    first = np.array([[3.0, 0], [0, 2], [1, 1], [0, 0], [5, 5]])
    second = np.array([[1.0, 0], [1, 1], [0, 7], [1, 0], [5, 5]])
    found = measures.cosines(first, second, 2)
    root = np.sqrt(0.5)
    # Two groups of two; the fifth review is left out. Zeros are like nothing.
    expected = [[[1, root], [0, root]], [[root, root], [0, 0]]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert measures.cosines(first, second, 100).shape == (1, 5, 5)


@given(st.integers(2, 12), st.integers(1, 5))
def test_ranks_do_not_depend_on_scale_or_order(n: int, size: int) -> None:
    measures = importlib.import_module("text_retrieval")
    random = np.random.default_rng([n, size])
    first, second = random.normal(size=(2, n, size))
    (expected,) = measures.ranks(measures.cosines(first, second))
    order = random.permutation(n)
    scaled = first[order] * random.uniform(0.5, 2, (n, 1)), second[order]
    (found,) = measures.ranks(measures.cosines(*scaled))
    np.testing.assert_array_equal(found, expected[order])


def test_tfidf(halves: ModuleType, measures: ModuleType) -> None:
    pairs = halves.Halves(["the cat", "the dog"], ["the dog barks", "a cat and the cat"])
    found = measures.tfidf_cosines(pairs, halves.Halves(["the end"], ["the film"]))
    # "the" is in all of them, and counts less than what only some have.
    assert found.shape == (1, 2, 2)
    assert found[0, 0, 1] > found[0, 0, 0] > 0
    assert found[0, 1, 0] > found[0, 1, 1] > 0
    same = halves.Halves(["a cat"] * 3, ["a cat"] * 3)
    np.testing.assert_allclose(measures.tfidf_cosines(same, same, 2), np.ones((1, 2, 2)))


@given(arrays(np.float64, (7, 4), elements=st.floats(-9, 9)), st.integers(0, 4))
def test_without_what_is_common(array: np.ndarray, n_components: int) -> None:
    vectors = importlib.import_module("text_vectors")
    shared = vectors.common(array, n_components)
    left = vectors.without(array, shared)
    np.testing.assert_allclose(left.mean(axis=0), np.zeros(4), atol=1e-9)
    np.testing.assert_allclose(left @ shared.components.T, 0, atol=1e-8)
    # What is left has the smallest of the singular values.
    scales = np.linalg.svd(array - array.mean(axis=0), compute_uv=False)
    assert np.sum(left**2) == pytest.approx(np.sum(scales[n_components:] ** 2), abs=1e-6)


def test_layers(vectors: ModuleType) -> None:
    pooled = RNG.normal(size=(2, 3, 4))
    np.testing.assert_array_equal(vectors.of_layer(pooled, "1"), pooled[:, 1])
    np.testing.assert_allclose(vectors.of_layer(pooled, "average"), pooled.sum(axis=1) / 3)


def test_whole_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = importlib.import_module("similar_texts")
    source = saved_model(tmp_path / "elmo", LEAST)
    args = ["--source", str(source), "--output", str(tmp_path / "out"), "--limit", "40"]
    args += ["--test", "20", "--sentences", "30", "--components", "2", "Fine music!"]
    assert example.main(args) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("40 reviews for reference, 20 to test with\n")
    assert "\nNearest to: Fine music !\n  ELMo " in printed
    assert printed.count("\n  ELMo ") == printed.count("\n  TF-IDF ") == 3
    numbers = json.loads((tmp_path / "out" / "similar_texts.json").read_text())
    assert len(numbers) == 3 * 4 + 2
    for name, found in numbers.items():
        (row,) = (x for x in printed.splitlines() if x.startswith(f"{name}  "))
        assert row.split()[-3:] == [f"{value:.3f}" for value in found.values()]
    (chosen,) = (x for x in printed.splitlines() if x.startswith("Best on the reference"))
    assert chosen.removeprefix("Best on the reference reviews: ") in numbers
    picture = (tmp_path / "out" / "similarities.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")

    # The features are there already, and the same is found.
    assert example.main(args) == 0
    assert capsys.readouterr().out == printed

    # Those of other reviews are not taken for them.
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main([*args, "--limit", "41"])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "argument --output: path: " in line
    assert "reference.npy' is of something else: these differ: texts" in line


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([" "], "argument sentence: must not be empty"),
        (["--components", "1"], "argument --components: must be a whole number from 2"),
        (["--data", "none"], "--data: There is no file or directory 'none'"),
        (["--words", "8"], "argument --data: 0 of 240 reviews have two sentences"),
        (["--source", "none"], "argument --source: source 'none': there is no"),
    ],
)
def test_errors(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    example = importlib.import_module("similar_texts")
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main(args)
    assert message in capsys.readouterr().err
