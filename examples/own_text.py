"""ELMo goes on learning, from one's own text, and predicts such text better.

A part of the texts is held out. After each pass over the others the perplexity of what is
held out is computed; the model of the best pass is kept, as a source for
``ElmoEmbeddingLayer``::

    python examples/own_text.py my_texts/*.txt
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

from arguments import blaming, integer_from, require
from mini_prepare import new_directory
from own_text_plot import plot
from own_text_training import adapt, unknown_share

from keras_elmo import SourceError, tokenize
from keras_elmo.pretraining import expand_paths, load_language_model
from keras_elmo.text.reviews import load_reviews

HELD_OUT_PART = 0.1


class TextError(ValueError):
    """There is too little text; the message says what was found."""


def main(argv: Sequence[str] | None = None) -> int:
    """Divides the texts, trains on one part, and measures on the other.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    # What can go wrong goes wrong here, before anything is computed.
    require(parser, "matplotlib")
    with blaming(parser, "TEXT or --held-out", OSError, ValueError):
        lines = read_lines(args.texts, args.tokenized)
        if args.held_out is None:
            training, held_out = divided(lines, args.seed)
        else:
            training, held_out = lines, read_lines([args.held_out], args.tokenized)
    with blaming(parser, "--source", SourceError):
        _, vocabulary = load_language_model(args.source, 1)
    for name, part in (("Training", training), ("Held out", held_out)):
        tokens = [token for line in part for token in line.split()]
        share = unknown_share(tokens, vocabulary)
        print(
            f"{name}: {len(part):,} lines, {len(tokens):,} tokens, of which {share:.1%} "
            "are not in the vocabulary",
            flush=True,
        )
    with blaming(parser, "--output", OSError), new_directory(args.output) as folder:
        run(args, training, held_out, folder)
    for name in ("perplexities.json", "perplexities.png", "model"):
        print(f"Wrote {args.output / name}")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(description="Train an ELMo further on your own text.")
    add = parser.add_argument
    add(
        "texts",
        nargs="*",
        metavar="TEXT",
        help="text files, directories or patterns as 'keras-elmo train' takes them, in "
        "each line what the layer will read as one text; without any, the film reviews "
        "that come with keras-elmo",
    )
    add(
        "--held-out",
        metavar="TEXT",
        help="text to measure on; without it, a tenth of the lines of the others, chosen "
        "at random",
    )
    add(
        "--tokenized",
        action="store_true",
        help="spaces stand between all tokens of the texts already",
    )
    add(
        "--source",
        default="mini",
        help="the ELMo model to go on from, with its softmax: mini, or a directory that "
        "'keras-elmo train' or this program wrote (default: %(default)s)",
    )
    add(
        "--epochs",
        type=integer_from(1),
        default=2,
        metavar="N",
        help="passes over the texts; the best one is kept (default: %(default)s)",
    )
    add(
        "--learning-rate",
        type=_positive,
        default=3e-4,
        metavar="X",
        help="Adam's highest one (default: %(default)s)",
    )
    add(
        "--seed",
        type=integer_from(0),
        default=0,
        metavar="N",
        help="of what is held out, the order and dropout (default: %(default)s)",
    )
    add(
        "--output",
        type=Path,
        default=Path("own_text_output"),
        metavar="DIR",
        help="where texts, model, numbers and picture go, which must not exist or be "
        "empty (default: %(default)s)",
    )
    return parser


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0; got {text!r}")
    return number


def read_lines(patterns: Sequence[str], tokenized: bool) -> list[str]:
    """Reads texts, each taken apart into tokens with spaces between them.

    Args:
        patterns: Text files, directories or patterns; none for the reviews that come with
            the package.
        tokenized: Whether they are taken apart already.

    Returns:
        The lines that have tokens.

    Raises:
        OSError: A file is missing or cannot be read.
        ValueError: A file is no text, or there are no words in any.
    """
    if patterns:
        files = [Path(path) for path in expand_paths(patterns)]
        # Not splitlines: it takes some characters of tokens for the ends of lines.
        plain = [line for path in files for line in _text(path).split("\n")]
    else:
        plain = [text for texts, _ in load_reviews() for text in texts]
    rows = [line.split() if tokenized else tokenize(line) for line in plain]
    found = [" ".join(row) for row in rows if row]
    if not found:
        raise TextError(f"there are no words in {', '.join(patterns)}")
    return found


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise TextError(
            f"the file {str(path)!r} is damaged, or no text: {error}"
        ) from error


def divided(lines: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Holds a tenth of the lines out, at random.

    A line that stands in both parts would be known already, so it is not held out.

    Raises:
        TextError: There are too few lines.
    """
    shuffled = random.Random(seed).sample(lines, len(lines))
    n_held_out = round(HELD_OUT_PART * len(lines))
    training = shuffled[n_held_out:]
    known = set(training)
    held_out = [line for line in shuffled[:n_held_out] if line not in known]
    if not held_out:
        raise TextError(
            f"there are {len(lines)} lines, of which none can be held out. Give more text, "
            "one text in a line, or --held-out."
        )
    return training, held_out


def run(
    args: argparse.Namespace, training: Sequence[str], held_out: Sequence[str], folder: Path
) -> None:
    """Trains, and writes texts, model, perplexities and their picture.

    Args:
        args: The source, and how to train.
        training: Lines to train on, their tokens joined by spaces.
        held_out: Lines to measure on.
        folder: An empty directory.
    """
    paths = folder / "training.txt", folder / "held_out.txt"
    for path, part in zip(paths, (training, held_out), strict=True):
        path.write_text("".join(f"{line}\n" for line in part), encoding="utf-8")
    history = adapt(
        args.source, *paths, folder / "model", args.epochs, args.learning_rate, args.seed
    )
    numbers = [perplexities._asdict() for perplexities in history]
    text = json.dumps(numbers, indent=2) + "\n"
    (folder / "perplexities.json").write_text(text, encoding="utf-8")
    plot(history, folder / "perplexities.png")


if __name__ == "__main__":
    raise SystemExit(main())
