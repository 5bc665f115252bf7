"""What is lost of a long text's vectors when it is fed in pieces?

One text of many tokens, made of the reviews that come with the package, goes through the
layer whole, and again in pieces (``stateful="pieces"``). See README.md beside this file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from arguments import integer_from
from numpy.typing import NDArray

from keras_elmo import ElmoEmbeddingLayer, tokenize
from keras_elmo.text.reviews import load_reviews

# Tokens that follow a token in its piece, from and to.
DISTANCES = ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0.
    """
    parser = argparse.ArgumentParser(
        description="Compare the vectors of a long text whole and in pieces."
    )
    parser.add_argument("--source", default="mini", help="the ELMo model (default: mini)")
    parser.add_argument(
        "--tokens", type=integer_from(1), default=5000, help="of the text (default: 5000)"
    )
    parser.add_argument(
        "--piece", type=integer_from(1), default=100, help="of a piece (default: 100)"
    )
    args = parser.parse_args(argv)
    tokens = long_text(args.tokens)
    whole = ElmoEmbeddingLayer(args.source, "layers")([" ".join(tokens)]).numpy()[0]
    pieces = in_pieces(args.source, tokens, args.piece)  # (tokens, layers, D)
    n_layers = whole.shape[1] - 1
    print(f"A text of {len(tokens):,} tokens, in pieces of {args.piece}. Root mean square")
    print(f"of the differences in layers 1 to {n_layers}, in parts of the values' own.")
    half = whole.shape[-1] // 2
    forward = difference(whole[:, 1:, :half], pieces[:, 1:, :half])
    print(f"\nforward, all tokens: {forward:.1e}\n\ntokens after it   backward")
    # How many tokens stand behind each one in its piece.
    starts = np.arange(len(tokens)) // args.piece * args.piece
    behind = np.minimum(starts + args.piece, len(tokens)) - 1 - np.arange(len(tokens))
    # The last piece ends with the text, and loses nothing.
    before_last = starts + args.piece < len(tokens)
    for first, stop in DISTANCES:
        chosen = before_last & (first <= behind) & (behind < stop)
        if chosen.any():
            found = difference(whole[chosen][:, 1:, half:], pieces[chosen][:, 1:, half:])
            name = str(first) if stop == first + 1 else f"{first} to {stop - 1}"
            print(f"{name:>14}   {found:8.1e}")
    return 0


def long_text(n_tokens: int) -> list[str]:
    """The embedded reviews one after the other, again and again."""
    (texts, _), _ = load_reviews()
    tokens = [token for text in texts for token in tokenize(text)]
    return (tokens * (n_tokens // len(tokens) + 1))[:n_tokens]


def in_pieces(source: str, tokens: list[str], n_tokens: int) -> NDArray[Any]:
    """The layers of a text's tokens (tokens, layers, D), fed in pieces."""
    layer = ElmoEmbeddingLayer(source, "layers", stateful="pieces")
    pieces = [tokens[k : k + n_tokens] for k in range(0, len(tokens), n_tokens)]
    return np.concatenate([layer([" ".join(piece)]).numpy()[0] for piece in pieces])


def difference(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The root mean square of the difference, in parts of that of the expected values."""
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


if __name__ == "__main__":
    raise SystemExit(main())
