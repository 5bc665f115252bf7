"""What the command lines of similar_texts.py and siamese.py have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from arguments import integer_from
from text_halves import LEAST_REVIEWS


def add_arguments(parser: argparse.ArgumentParser, kept: str) -> None:
    """Adds the arguments that say which reviews are cut, and where features go.

    Args:
        parser: The parser to add them to.
        kept: What else goes into the output directory, for its help.
    """
    add = parser.add_argument
    add(
        "--data",
        metavar="PATH",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB); without it, the few reviews that come with keras-elmo",
    )
    add("--source", default="mini", help="the ELMo model (default: %(default)s)")
    add(
        "--limit",
        type=integer_from(LEAST_REVIEWS),
        default=5000,
        metavar="N",
        help="at most N reviews of the training half (default: %(default)s)",
    )
    add(
        "--test",
        type=integer_from(LEAST_REVIEWS),
        default=1000,
        metavar="N",
        help="at most N reviews of the test half (default: %(default)s)",
    )
    add(
        "--words",
        type=integer_from(1),
        default=150,
        metavar="N",
        help="words to take of a review, of which each half has one half (default: "
        "%(default)s)",
    )
    add(
        "--seed",
        type=integer_from(0),
        default=0,
        metavar="N",
        help="makes a run repeatable (default: %(default)s)",
    )
    add(
        "--output",
        type=Path,
        default=Path("text_halves_output"),
        metavar="DIR",
        help=f"where features, which both programs use, and {kept} go (default: "
        "%(default)s)",
    )
