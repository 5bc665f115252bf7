"""The examples on halves of reviews: measures and loss by hand, the whole on a few."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.examples.running import load_example, run
from tests.tiny_models import LEAST, saved_model

halves = load_example("similar_texts/halves")
comparison = load_example("similar_texts/compare_halves")
siamese = load_example("similar_texts/siamese")


def test_halve() -> None:
    first = "A film about a man who sells his boat."
    second = "He buys it back! And that is all that happens to him."
    expected = (first.replace(".", " ."), second.replace("!", " !").replace(".", " ."))
    assert halves.halve(f"{first} {second}") == expected
    # Cut off after "all": the middle has moved, but stands between the same sentences.
    assert halves.halve(f"{first} {second}", 17)[1] == "He buys it back ! And that is all"
    # One sentence, and halves of which one is too short.
    for text in (first, f"{first} Avoid!", ""):
        assert halves.halve(text) is None


def test_retrieval() -> None:
    # Its own is the highest; one is higher than 0.4; three alike are at places 1 to 3.
    similar = np.array([[[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.7, 0.7, 0.7]]])
    expected = (1 / 3, 1, (1 + 1 / 2 + 1 / 2) / 3)
    assert halves.retrieval(similar) == pytest.approx(expected, abs=1e-9)
    # All alike: chance, not success.
    alike = halves.retrieval(np.ones((1, 100, 100)))
    assert alike == pytest.approx((0, 0, 1 / 50.5), abs=1e-9)


def test_similarities(monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array([[3.0, 0], [0, 2], [1, 1], [0, 0], [5, 5]])
    second = np.array([[1.0, 0], [1, 1], [0, 7], [1, 0], [5, 5]])
    assert halves.similarities(first, second).shape == (1, 5, 5)
    monkeypatch.setattr(halves, "N_CANDIDATES", 2)
    root = np.sqrt(0.5)
    # Two groups of two; the fifth review is left out. Zeros are like nothing.
    expected = [[[1, root], [0, root]], [[root, root], [0, 0]]]
    np.testing.assert_allclose(halves.similarities(first, second), expected, atol=1e-9)


def test_without_capitals() -> None:
    names = halves.Halves(['Bo likes Rome , " Oslo " too'], ["I", "a 2nd"])
    assert comparison.without_capitals(names) == (['likes , " " too'], ["", "a 2nd"])


@pytest.mark.parametrize("n_components", [0, 1, 3])
def test_without_what_is_common(n_components: int) -> None:
    known = tuple(np.random.default_rng(0).normal(2, 3, (2, 7, 2, 4)))  # (7, 2, 4) each
    left = comparison.changed(known, known, ("1", n_components))
    both = np.concatenate(left)  # (14, 4)
    np.testing.assert_allclose(both.mean(axis=0), 0, atol=1e-9)
    # What is left has the smallest of the singular values.
    vectors = np.concatenate(known)[:, 1]
    scales = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    assert np.sum(both**2) == pytest.approx(np.sum(scales[n_components:] ** 2), abs=1e-6)
    (same, _) = comparison.changed(known, known, ("average", None))
    np.testing.assert_allclose(same, known[0].sum(axis=1) / 2, atol=1e-9)


def halves_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Made-up pooled layers: half of the numbers are the review's, the others disturb."""
    random = np.random.default_rng(n)
    reviews = random.normal(size=(n, 1, 6)) * [1, 1, 1, 0, 0, 0]
    noise = random.normal(size=(2, n, 2, 6)) * [0.1, 0.1, 0.1, 3, 3, 3]
    first, second = (reviews + noise).astype(np.float32)  # (n, 2, 6) each
    return first, second


def test_discriminant() -> None:
    first, second = (part[:, 0] for part in halves_of(400))
    kernel = siamese.discriminant(first, second, 3)
    assert kernel.shape == (6, 3)
    # The numbers that disturb are left out.
    assert np.abs(kernel[3:]).max() < 0.1 * np.abs(kernel[:3]).max()
    # Within reviews the covariance becomes the identity, the ridge included.
    kernel = siamese.discriminant(first, second, 9)
    within = np.cov((first - second).T) / 2
    within += siamese.RIDGE * np.mean(np.diag(within)) * np.eye(6)
    np.testing.assert_allclose(kernel.T @ within @ kernel, np.eye(6), atol=1e-6)


@pytest.mark.parametrize("n", [1, 4])
def test_loss(n: int) -> None:
    pairs = np.random.default_rng(0).normal(size=(n, 2, 3))
    pairs /= np.linalg.norm(pairs, axis=-1, keepdims=True)
    expected = np.zeros(n)
    for a, b in ((0, 1), (1, 0)):
        powers = np.exp(pairs[:, a] @ pairs[:, b].T / siamese.TEMPERATURE)  # (n, n)
        expected -= np.log(np.diag(powers) / powers.sum(axis=1)) / 2
    found = siamese.contrastive_loss(None, pairs)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.slow
def test_whole_programs(tmp_path: Path) -> None:
    source = saved_model(tmp_path / "elmo", LEAST)
    arguments = ["--source", source, "--limit", "40", "--test", "20"]
    printed = run(
        "similar_texts/compare_halves.py", "Fine music!", *arguments, folder=tmp_path
    )
    assert printed.startswith("40 reviews for reference, 20 to test with\n")
    rows = re.findall(r"\n(\w.*?)  +([\d.]+) +([\d.]+) +([\d.]+)(?=\n)", printed)
    assert len(rows) == 3 * 4 + 2
    assert all(0 < float(mrr) <= 1 for *_, mrr in rows)
    (chosen,) = re.findall(r"Best on the reference reviews: (.*)\n", printed)
    assert chosen in [name for name, *_ in rows]
    assert "\nNearest to: Fine music!\n  ELMo " in printed
    assert printed.count("\n  ELMo ") == printed.count("\n  TF-IDF ") == 3
    out = tmp_path / "text_halves_output"
    assert (out / "similarities.png").read_bytes().startswith(b"\x89PNG\r\n")

    # The features are there already.
    before = (out / "reference.npy").stat().st_mtime_ns
    arguments += ["--epochs", "2", "--size", "8", "--compare", "A fine film.", "Dull!"]
    printed = run("similar_texts/siamese.py", *arguments, folder=tmp_path)
    assert (out / "reference.npy").stat().st_mtime_ns == before
    assert printed.startswith("Training on 36 reviews, validating on 4 others\nEpoch 1: ")
    assert len(re.findall(r"\n\w.*?(?:  +[\d.]+){3}\n", printed)) >= 2
    assert (out / "siamese.png").read_bytes().startswith(b"\x89PNG\r\n")

    # The saved model has the weights once, and is the same on both sides.
    model = keras.saving.load_model(out / "siamese.keras")
    counted = re.findall(r"once for both inputs: ([\d,]+)\n", printed)
    assert counted == [f"{model.count_params():,}"]
    texts = np.array(["A fine film.", "Dull!"], dtype=object)
    (similarity,) = re.findall(r"'A fine film.' and 'Dull!': similarity (\S+)\n", printed)
    found = np.asarray(model([texts[:1], texts[1:]]))  # (1, 1)
    assert found[0, 0] == pytest.approx(float(similarity), abs=1e-3)
    np.testing.assert_allclose(model([texts, texts]), np.ones((2, 1)), atol=1e-5)
    np.testing.assert_allclose(found, model([texts[1:], texts[:1]]), atol=1e-5)
