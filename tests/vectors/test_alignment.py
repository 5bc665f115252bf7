"""Anchors by hand, and matrices that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_elmo import compute_features
from keras_elmo.layers import Alignment
from keras_elmo.vectors import anchors, learn_alignment, open_embeddings

RNG = np.random.default_rng(0)
PAIRS = [(f"mot{i}", f"word{i}") for i in range(60)]


def orthogonal(*shape: int) -> np.ndarray:
    return np.linalg.qr(RNG.normal(size=shape))[0]


@pytest.mark.parametrize("n_layers", [(), (3,)], ids=["one", "each layer"])
@pytest.mark.parametrize("size", [8, 12], ids=["square", "wider"])
def test_matrices_are_found_again(n_layers: tuple[int, ...], size: int) -> None:
    matrix = orthogonal(*n_layers, size, 8)  # ([layers,] D of the target, D of the source)
    source = {word: RNG.normal(size=(*n_layers, 8)) for word, _ in PAIRS}
    target = {e: (matrix @ source[f][..., None])[..., 0] for f, e in PAIRS}
    others = [("mot0", "?"), ("?", "word0")]  # have no anchors
    found = learn_alignment(source, target, [*PAIRS, *others])
    np.testing.assert_allclose(found, matrix, rtol=0, atol=1e-5)
    # With noise no orthogonal matrix is nearer, and the layer maps one side to the other.
    noisy = {e: v + 0.1 * RNG.normal(size=v.shape) for e, v in target.items()}
    found = learn_alignment(source, noisy, PAIRS)
    x, y = np.stack([source[f] for f, _ in PAIRS]), np.stack([noisy[e] for _, e in PAIRS])
    least = np.square(Alignment(found)(x.astype(np.float32)) - y).sum()
    for other in (matrix, found @ (np.eye(8) - 2 * np.outer(*2 * [orthogonal(8, 1)]))):
        assert least < np.square(Alignment(other)(x.astype(np.float32)) - y).sum()
    identity = np.swapaxes(found, -1, -2) @ found
    np.testing.assert_allclose(
        identity, np.broadcast_to(np.eye(8), identity.shape), atol=1e-5
    )


def test_no_pair_has_anchors() -> None:
    with pytest.raises(ValueError, match="dictionary: none of its pairs has an anchor"):
        learn_alignment({"a": RNG.normal(size=8)}, {"b": RNG.normal(size=8)}, [("b", "a")])


def test_anchors(source: str, tmp_path: Path) -> None:
    texts = ["a b a", "c", "b c"]
    tokens = [text.split() for text in texts]
    vectors = [RNG.normal(size=(len(row), 2, 4)).astype(np.float16) for row in tokens]
    found = anchors(iter(tokens), iter(vectors))
    assert list(found) == ["a", "b", "c"]
    mean = (vectors[0][1].astype(float) + vectors[2][0]) / 2
    np.testing.assert_allclose(found["b"], mean, rtol=0, atol=1e-6)
    assert list(anchors(tokens, vectors, ["c", "x"])) == ["c"]
    # Of a file of features.
    compute_features(source, texts, tmp_path / "x.npy", progress=False)
    with open_embeddings(tmp_path / "x.npy") as rows:
        np.testing.assert_allclose(
            anchors(tokens, rows)["c"], (rows[1][0] + rows[2][1]) / 2, atol=1e-6
        )
    with pytest.raises(ValueError, match="a text of 3 tokens has 2 vectors: 'a b a'"):
        anchors(tokens, [vectors[0][:2]])
    with pytest.raises(ValueError, match="shorter"):
        anchors(tokens, vectors[:2])
