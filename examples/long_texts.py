"""Measures what a long text loses when you feed it in pieces.

A long text, made of the reviews that come with the package, goes through the layer whole,
and again in pieces (``stateful="pieces"``). See docs/long_texts.md.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, tokenize
from keras_elmo.text.reviews import load_reviews

Floats = NDArray[np.floating]

# Ranges of the number of tokens that follow a token in its piece.
DISTANCES = ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128))


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Compare the vectors of a long text whole and in pieces.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--source", default="mini", help="the ELMo model")
    parser.add_argument("--tokens", type=int, default=5000, help="length of the text")
    parser.add_argument("--piece", type=int, default=100, help="tokens of a piece")
    args = parser.parse_args()

    (texts, _), _ = load_reviews()
    tokens = [token for text in texts for token in tokenize(text)]
    tokens = (tokens * (args.tokens // len(tokens) + 1))[: args.tokens]
    whole = ElmoEmbeddingLayer(args.source, "layers")([" ".join(tokens)]).numpy()[0]
    layer = ElmoEmbeddingLayer(args.source, "layers", stateful="pieces")
    starts = range(0, len(tokens), args.piece)
    pieces = np.concatenate(
        [layer([" ".join(tokens[k : k + args.piece])]).numpy()[0] for k in starts]
    )  # (tokens, n_layers + 1, D), as whole
    print(f"A text of {len(tokens):,} tokens, in pieces of {args.piece}. Root mean square")
    print("of the differences in the LSTM layers, in parts of the values' own.")
    half = whole.shape[-1] // 2
    forward = difference(whole[:, 1:, :half], pieces[:, 1:, :half])
    print(f"\nforward, all tokens: {forward:.1e}\n\ntokens after it   backward")
    # How many tokens follow each one in its piece.
    ends = (np.arange(len(tokens)) // args.piece + 1) * args.piece
    after = ends - 1 - np.arange(len(tokens))  # (tokens,)
    in_last_piece = ends >= len(tokens)  # it ends with the text, so nothing is lost
    for first, stop in DISTANCES:
        chosen = ~in_last_piece & (first <= after) & (after < stop)
        if chosen.any():
            found = difference(whole[chosen][:, 1:, half:], pieces[chosen][:, 1:, half:])
            name = str(first) if stop == first + 1 else f"{first} to {stop - 1}"
            print(f"{name:>14}   {found:8.1e}")


def difference(expected: Floats, found: Floats) -> float:
    """The root mean square of the difference, relative to that of the expected values."""
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


if __name__ == "__main__":
    main()
