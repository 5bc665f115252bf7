"""The text that ELMo "mini" is trained on: the IMDB film reviews, one in a line.

Takes the training half of Maas et al. (2011) and the reviews without a label, and not
the test half: a model trained on that could not be judged by it. Some reviews are held
out, at random, to measure perplexity on. Equal data give equal files, byte by byte::

    python examples/mini_prepare.py aclImdb_v1.tar.gz imdb_text
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from arguments import blaming
from imdb_data import DataError, load_training_texts, plain_text
from tqdm import tqdm

from keras_elmo.text.tokenization import tokenize

HELD_OUT = 1000  # reviews, before those are left out that are in the training text too
N_SHARDS = 8
SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the files.

    Args:
        argv: The command line's arguments; those of the process by default.

    Returns:
        The exit status, 0. A wrong argument ends in ``SystemExit`` with status 2 and a
        line on the standard error that names it.
    """
    parser = make_parser()
    args = parser.parse_args(argv)
    # Made before the minute of reading: it tells whether OUT can be written.
    with blaming(parser, "OUT", OSError), new_directory(args.out) as folder:
        with blaming(parser, "DATA", DataError, OSError):
            reviews = shuffled(load_training_texts(args.data))
        n_held_out, n_training = write(reviews, folder)
    print(f"Wrote {args.out}: {n_training:,} reviews to train on, {n_held_out:,} held out")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(
        description="Write the IMDB reviews as text to train a language model on: "
        f"heldout.txt and {N_SHARDS} files train-*.txt, tokens separated by spaces."
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        help="the IMDB reviews: aclImdb_v1.tar.gz, the directory it unpacks to, or "
        "'download' (80 MiB)",
    )
    parser.add_argument(
        "out",
        type=Path,
        metavar="OUT",
        help="the directory to write, which must not exist or be empty",
    )
    return parser


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Gives a directory to fill, which becomes ``path`` when the block ends well.

    When it does not, the directory is deleted and ``path`` is as it was.

    Args:
        path: Where there is nothing yet, or an empty directory.

    Yields:
        The directory to fill, beside ``path``.

    Raises:
        OSError: Something is there, or cannot be written.
    """
    path = path.resolve()
    if path.exists() and any(path.iterdir()):
        raise FileExistsError(f"the directory {str(path)!r} is not empty")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as private:
        # Nobody else may read the temporary directory, but everybody one inside it.
        folder = Path(private) / path.name
        folder.mkdir()
        yield folder
        if path.exists():
            path.rmdir()  # Windows renames to what does not exist only
        folder.rename(path)


def shuffled(texts: Sequence[str]) -> list[str]:
    """Puts reviews in the random order in which they are divided.

    Raises:
        DataError: There are too few to hold some out and fill all files.
    """
    least = HELD_OUT + N_SHARDS
    if len(texts) < least:
        raise DataError(
            f"There are {len(texts):,} reviews; to hold {HELD_OUT:,} out and divide the "
            f"others among {N_SHARDS} files takes at least {least:,}."
        )
    reviews = list(texts)
    random.Random(SEED).shuffle(reviews)
    return reviews


def write(reviews: Sequence[str], folder: Path) -> tuple[int, int]:
    """Writes the first reviews to ``heldout.txt`` and deals the others out to shards.

    Args:
        reviews: Texts as in the data, in random order.
        folder: The directory to write to.

    Returns:
        The numbers of reviews that are held out and that are to be trained on.
    """
    with tqdm(reviews, desc="Taking words apart", unit=" reviews") as progress:
        lines = [to_line(text) for text in progress]
    training = lines[HELD_OUT:]
    # Some reviews come twice.
    seen = set(training)
    files = {"heldout.txt": [line for line in lines[:HELD_OUT] if line not in seen]}
    files |= {f"train-{i}.txt": training[i::N_SHARDS] for i in range(N_SHARDS)}
    for name, texts in files.items():
        with (folder / name).open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in texts)
    return len(files["heldout.txt"]), len(training)


def to_line(text: str) -> str:
    """Takes a review apart into tokens, joined by spaces."""
    return " ".join(tokenize(plain_text(text)))


if __name__ == "__main__":
    raise SystemExit(main())
