"""Learns to map one model's vectors to another's, from words and their translations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def anchors(
    texts: Iterable[Sequence[str]],
    vectors: Iterable[Floats],
    words: Iterable[str] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """The anchor of each word: the mean of its vectors over all its occurrences.

    Texts and vectors are read once, and only the sums are held: they may be generators, or
    the :class:`~keras_elmo.vectors.Embeddings` of a file.

    Args:
        texts: The tokens of each text.
        vectors: The vectors of each text's tokens, (tokens, ...), for example (tokens,
            n_layers + 1, D).
        words: The words to compute anchors for; ``None`` for all.

    Returns:
        The anchors (...) by word, in order of first occurrence. Words that do not occur
        have none.

    Raises:
        ValueError: A text and its vectors differ in length, or there are more of one than
            of the other.

    Example:
        >>> from keras_elmo import ElmoEmbeddingLayer
        >>> from keras_elmo.vectors import anchors
        >>> layer = ElmoEmbeddingLayer("mini", output_mode="layers")
        >>> texts = [["The", "bank", "closed"], ["The", "river", "bank"]]
        >>> found = anchors(texts, layer.encode(texts, verbose=0), words=["bank", "tree"])
        >>> {word: anchor.shape for word, anchor in found.items()}
        {'bank': (3, 512)}
    """
    chosen = None if words is None else set(words)
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    for tokens, rows in zip(texts, vectors, strict=True):
        if len(tokens) != len(rows):
            raise ValueError(
                f"texts and vectors: a text of {len(tokens)} tokens has {len(rows)} "
                f"vectors: {' '.join(tokens)!r:.100}. Split texts as the layer did."
            )
        for token, row in zip(tokens, rows, strict=True):
            if chosen is None or token in chosen:
                counts[token] = counts.get(token, 0) + 1
                if token not in sums:
                    sums[token] = np.zeros(row.shape)
                sums[token] += row
    return {word: (total / counts[word]).astype(np.float32) for word, total in sums.items()}


def learn_alignment(
    source: Mapping[str, Floats],
    target: Mapping[str, Floats],
    dictionary: Iterable[tuple[str, str]],
) -> NDArray[np.float32]:
    """The rotation that brings anchors nearest to those of their translations.

    It solves the orthogonal Procrustes problem: of all orthogonal matrices W, it finds the
    one with the least sum of squares of ``source @ W.T - target`` over the pairs. A pair
    counts more if its anchors are longer. Use several times more pairs than there are
    dimensions.

    Args:
        source: The anchors by word of the model whose vectors will be mapped, (D,) or, for
            several layers, (n_layers, D).
        target: Those of the model to map to.
        dictionary: Pairs of a source word and a target word. Pairs with a word that has no
            anchor are left out.

    Returns:
        The matrix (D, D), or one for each layer, (n_layers, D, D), for
        :class:`~keras_elmo.layers.Alignment`. If the models have different dimensions, it
        is (target's, source's).

    Raises:
        ValueError: No pair of the dictionary has both anchors.

    Example:
        >>> import numpy as np
        >>> from keras_elmo.vectors import learn_alignment
        >>> french = {"nord": np.array([2.0, 0.0]), "est": np.array([0.0, 1.0])}
        >>> english = {"north": np.array([0.0, 2.0]), "east": np.array([-1.0, 0.0])}
        >>> matrix = learn_alignment(french, english, [("nord", "north"), ("est", "east")])
        >>> print(french["nord"] @ matrix.T)
        [0. 2.]
    """
    pairs = [(source[a], target[b]) for a, b in dictionary if a in source and b in target]
    if not pairs:
        raise ValueError(
            "dictionary: none of its pairs has an anchor on both sides. Check the order of "
            "the pairs (source, target), and upper and lower case."
        )
    # ([n_layers,] pairs, D)
    x, y = (
        np.moveaxis(np.stack(side).astype(float), 0, -2)
        for side in zip(*pairs, strict=True)
    )
    covariance = np.swapaxes(y, -1, -2) @ x  # ([n_layers,] target's D, source's D)
    u, _, v = np.linalg.svd(covariance, full_matrices=False)
    return (u @ v).astype(np.float32)
